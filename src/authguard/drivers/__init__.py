"""The two drivers: they answer what flows ask, with and without an event loop (law 2)."""

from authguard.drivers.asynchronous import aask, arun
from authguard.drivers.blocking import ask, run, run_anywhere

__all__ = ["aask", "arun", "ask", "run", "run_anywhere"]

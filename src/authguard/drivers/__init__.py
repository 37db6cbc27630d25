"""The two drivers: they answer what flows ask, with and without an event loop (law 2)."""

from authguard.drivers.asynchronous import arun
from authguard.drivers.blocking import run

__all__ = ["arun", "run"]

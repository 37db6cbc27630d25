"""Answer the questions of flows, with and without an event loop (law 2).

`asynchronous` and `blocking` have the same names: `decide` for a request, `run` for a flow, `ask` for a
question. This package exports those of `blocking`.
"""

from authguard.drivers.blocking import ask, decide, run, run_anywhere

__all__ = ["ask", "decide", "run", "run_anywhere"]

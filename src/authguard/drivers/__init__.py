"""Answer what flows ask, with and without an event loop (law 2).

`asynchronous` and `blocking` have the same names: `decide` for a request, `run` for a flow, `ask` for a
question. Here are those of `blocking`.
"""

from authguard.drivers.blocking import ask, decide, run, run_anywhere

__all__ = ["ask", "decide", "run", "run_anywhere"]

"""Run the flows of `Guard.verify`, which is called in any thread."""

from typing import TypeVar

from authguard._core.flow import Flow
from authguard.drivers.blocking import NeedsEventLoopError, run
from authguard.errors import UnexpectedError

Result = TypeVar("Result")


def run_outside(flow: Flow[Result]) -> Result:
    """Run a flow in this thread.

    Raises:
        RuntimeError: if an `async` callback is needed that this thread cannot await. It is not a
            `RefusedError`, because the credential may be valid.
    """
    try:
        return run(flow)
    except UnexpectedError as error:
        if not isinstance(error.__cause__, NeedsEventLoopError):
            raise
        reason = str(error.__cause__)
    raise RuntimeError(f"{reason}: write await guard.averify(token)")

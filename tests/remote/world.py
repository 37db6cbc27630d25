"""Drive flows without a network: answer them at once from pages by URL."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from authguard._core.flow import Failure, Fetch, FetchFailedError, Flow, Question, Response, Shared

Result = TypeVar("Result")
Page = Response | FetchFailedError | Callable[[Fetch], "Response | FetchFailedError"]


def page(document: Any, status: int = 200, **headers: str) -> Response:
    """Return an answer in JSON."""
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, {"content-type": "application/json", **fields}, json.dumps(document).encode())


class World:
    """Hold pages by URL: a `Response`, a `FetchFailedError`, or a function of the question."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.calls: list[Fetch] = []

    def run(self, flow: Flow[Result]) -> Result:
        """Run a flow to its end."""
        try:
            question = next(flow)
            while True:
                try:
                    answer = self._answer(question)
                except Exception as error:
                    question = flow.throw(error)
                else:
                    question = flow.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        finally:
            flow.close()

    def _answer(self, question: Question[Any]) -> Any:
        if isinstance(question, Shared):
            answer = self.run(question.make())
            return answer if question.wait else None
        assert isinstance(question, Fetch)
        self.calls.append(question)
        page = self.pages.get(question.url, Response(404, {}, b""))
        answer = page if isinstance(page, Response | FetchFailedError) else page(question)
        if isinstance(answer, FetchFailedError):
            raise answer
        return answer


def down(kind: Failure = "connect") -> FetchFailedError:
    """Return the error for a missing answer."""
    return FetchFailedError(kind, f"{kind}: nobody there")

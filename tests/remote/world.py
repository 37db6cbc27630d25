"""A driver without a network: flows are answered from pages by URL, in no time."""

import json

from authguard._core.flow import FetchFailedError, Response, Shared


def page(document, status=200, **headers):
    """An answer in JSON."""
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status, {"content-type": "application/json", **fields}, json.dumps(document).encode())


class World:
    """Pages by URL: a `Response`, a `FetchFailedError`, or a function of the question that makes one."""

    def __init__(self, **pages):
        self.pages = {}
        self.asked = []

    def run(self, flow):
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
            return stop.value
        finally:
            flow.close()

    def _answer(self, question):
        if isinstance(question, Shared):
            answer = self.run(question.make())
            return answer if question.wait else None
        self.asked.append(question)
        found = self.pages.get(question.url, Response(404, {}, b""))
        if callable(found) and not isinstance(found, Exception):
            found = found(question)
        if isinstance(found, Exception):
            raise found
        return found


def down(kind="connect"):
    """There is no answer."""
    return FetchFailedError(kind, f"{kind}: nobody there")

"""Ask functions of the application about a known caller, and keep what they answer for the flow."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar, final

from authguard._core.answer.decision import Known
from authguard._core.flow import Call, Flow
from authguard._core.model import Principal

Result = TypeVar("Result")


@final
class AskAbout:
    """Name a known caller about whom functions of the application have to be asked.

    Args:
        known: the caller.
        is_revoked: tells whether it has been logged out; None if that is known.
        user_loader: loads the application's own user; None if there is nothing to load.

    Attributes:
        auth: that of the caller.
    """

    __slots__ = ("auth", "is_revoked", "known", "user_loader")

    is_decision: ClassVar[Literal[False]] = False

    def __init__(
        self, known: Known, is_revoked: Callable[..., Any] | None, user_loader: Callable[..., Any] | None
    ) -> None:
        self.known = known
        self.auth = known.auth
        self.is_revoked = is_revoked
        self.user_loader = user_loader

    def ask(self) -> "Flow[Answered]":
        """Ask the functions, until one of them answers otherwise than for nearly every request."""
        principal = self.auth.principal
        answered = Answered(principal)
        user: Any = principal
        function = self.is_revoked
        try:
            if function is not None:
                revoked = yield Call(function, principal)
                answered.answers.append((function, revoked, None))
                if revoked is not False:
                    return answered
            function = self.user_loader
            if function is not None:
                user = yield Call(function, principal)
                answered.answers.append((function, user, None))
        except Exception as error:
            answered.answers.append((function, None, error))
            return answered
        answered.user = user
        return answered


@final
class Answered:
    """Hold what functions of the application have answered, so that a flow does not ask them again.

    Args:
        principal: whom they were asked about.

    Attributes:
        answers: each function, with what it has returned and what it has raised.
        user: the application's own user; None if the answers are not those that let a request pass.
    """

    __slots__ = ("answers", "principal", "user")

    is_decision: ClassVar[Literal[False]] = False

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.answers: list[tuple[Callable[..., Any] | None, Any, Exception | None]] = []
        self.user: Any = None

    def given_to(self, flow: Flow[Result]) -> Flow[Result]:
        """Run a flow, which gets the answers in the place of calls that ask for them.

        A call about another principal is made: the credential may stand for somebody else by now.
        """
        try:
            question = next(flow)
            while True:
                try:
                    answer = self._take(question) if isinstance(question, Call) else (yield question)
                    if answer is _NOT_ASKED:
                        answer = yield question
                except Exception as error:
                    question = flow.throw(error)
                else:
                    question = flow.send(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        finally:
            flow.close()

    def _take(self, question: Call[Any]) -> Any:
        """Return the answer to a call that has been made, or raise what it has raised."""
        for function, answer, error in self.answers:
            if function is question.function and question.arguments[0] is self.principal:
                if error is not None:
                    raise error
                return answer
        return _NOT_ASKED


_NOT_ASKED = object()

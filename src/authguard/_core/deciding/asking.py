"""Ask functions of the application about a known caller, and keep what they answer for the flow."""

from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, final

from authguard._core.answer.decision import DOUBTFUL_USERS, Known, is_user
from authguard._core.callbacks import Callback
from authguard._core.flow import Call, Flow
from authguard._core.model import Auth, Principal

Result = TypeVar("Result")
#: Functions, each with what it has returned and what it has raised.
_Answers: TypeAlias = tuple[tuple[Callback[Any], Any, Exception | None], ...]


@final
class AskAbout(Call[Any]):
    """Ask a function of the application about a known caller: whether it is logged out, else for its user.

    Args:
        known: the caller.
        is_revoked: of the revocations; None if there is nothing to ask them.
        user_loader: loads the application's own user; None if there is none.
        before: what has been asked and answered before.

    Attributes:
        known: the caller.
        auth: that of the caller.
    """

    __slots__ = ("_before", "_is_revoked", "_user_loader", "auth", "known")

    is_decision: ClassVar[Literal[False]] = False

    def __init__(
        self,
        known: Known,
        is_revoked: Callback[Any] | None,
        user_loader: Callback[Any] | None,
        before: _Answers = (),
    ) -> None:
        auth = known.auth
        function: Any = user_loader if is_revoked is None else is_revoked
        super().__init__(function, auth.principal)
        self.auth: Auth = auth
        self.known = known
        self._is_revoked = is_revoked
        self._user_loader = user_loader
        self._before = before

    def take(self, answer: Any) -> "Known | AskAbout | Answered":
        """Return the caller, or what to ask next, if the answer is that for nearly every request.

        Returns:
            else the answers, of which the flow says what they mean.
        """
        if self._is_revoked is None:
            if type(answer) in DOUBTFUL_USERS and not is_user(answer):
                return self.answered(answer)
            return self.known.with_user(answer)
        if answer is not False:
            return self.answered(answer)
        if self._user_loader is None:
            return self.known
        return AskAbout(self.known, None, self._user_loader, ((self._is_revoked, False, None),))

    def answered(self, answer: Any, error: Exception | None = None) -> "Answered":
        """Return what has been answered, with what the function has returned or raised."""
        return Answered(self.auth.principal, (*self._before, (self.callback, answer, error)))


@final
class Answered:
    """Hold what functions of the application have answered, so that a flow does not ask them again.

    Args:
        principal: whom they were asked about.
        answers: what they have answered.
    """

    __slots__ = ("_answers", "_principal")

    is_decision: ClassVar[Literal[False]] = False

    def __init__(self, principal: Principal, answers: _Answers) -> None:
        self._principal = principal
        self._answers = answers

    def given_to(self, flow: Flow[Result]) -> Flow[Result]:
        """Run a flow, which gets the answers in the place of calls that ask for them.

        A call about another principal is made: the credential may stand for somebody else by now.
        """
        try:
            question = next(flow)
            while True:
                try:
                    answer = self._take(question) if isinstance(question, Call) else (yield question)
                    if answer is _NO_ANSWER:
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
        for callback, answer, error in self._answers:
            if callback is question.callback and question.arguments[0] is self._principal:
                if error is not None:
                    raise error
                return answer
        return _NO_ANSWER


_NO_ANSWER = object()

"""Ask functions of the application about a known caller, and store their answers for the flow."""

from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, final

from authguard._core.answer.decision import Known
from authguard._core.callbacks import Callback, is_awaitable
from authguard._core.deciding.loaded_users import check_of
from authguard._core.flow import Call, Flow
from authguard._core.model import Auth, Principal

Result = TypeVar("Result")
#: Functions, each with its return value and the exception that it has raised.
_Answers: TypeAlias = tuple[tuple[Callback[Any], Any, Exception | None], ...]


@final
class AskAbout(Call[Any]):
    """Ask functions of the application whether a known caller is logged out, and otherwise for its user.

    Args:
        known: the caller.
        is_revoked: the method of the store of revocations; None if it need not be asked.
        user_loader: loads the application's own user; None if the application has no loader.
        before: the questions and answers before.

    Attributes:
        known: the caller.
    """

    __slots__ = ("_before", "_is_revoked", "_user_loader", "known")

    is_decision: ClassVar[Literal[False]] = False

    def __init__(
        self,
        known: Known,
        is_revoked: Callback[Any] | None,
        user_loader: Callback[Any] | None,
        before: _Answers = (),
    ) -> None:
        # The attributes are set without the base class, which inspects functions of all kinds: one object is
        # made for each request.
        self.callback: Any = user_loader if is_revoked is None else is_revoked
        self.arguments = (known.auth.principal,)
        self.known = known
        self._is_revoked = is_revoked
        self._user_loader = user_loader
        self._before = before

    @property
    def auth(self) -> Auth:
        """Return the principal of the caller, with its scopes."""
        return self.known.auth

    def take(self, answer: Any) -> "Known | AskAbout | Answered":
        """Return the caller, or the next question, if the answer is the usual one.

        Returns:
            for any other answer, the answers; the flow then decides by them.
        """
        if self._is_revoked is None:
            check = check_of(type(answer))  # type: ignore[arg-type]
            if check is None or check(answer) or answer is self.known.auth.principal:
                return self.known.with_user(answer)
            return self.answered(answer)
        if answer is not False:
            return self.answered(answer)
        if self._user_loader is None:
            return self.known
        return AskAbout(self.known, None, self._user_loader, ((self._is_revoked, False, None),))

    def answered(self, answer: Any, error: Exception | None = None) -> "Answered":
        """Return the answers, with the value or the exception of the function."""
        return Answered(self.known.auth.principal, (*self._before, (self.callback, answer, error)))


def load_at_once(known: Known, loader: Callback[Any]) -> "Known | AskAbout | Answered":
    """Return a known caller with its user, loaded by a function that never waits.

    Args:
        known: the caller.
        loader: loads the application's own user.

    Returns:
        for an unusual answer, the answers, by which the flow decides; or a question, if the answer must be
        awaited after all.
    """
    try:
        user = loader.function(known.auth.principal)
    except Exception as error:
        return AskAbout(known, None, loader).answered(None, error)
    check = check_of(type(user))  # type: ignore[arg-type]
    if check is None or check(user) or user is known.auth.principal:
        return known.with_user(user)
    if is_awaitable(user):
        return AskAbout(known, None, Callback(lambda _: user, loader.option, in_memory=True))
    return AskAbout(known, None, loader).answered(user)


@final
class Answered:
    """Hold the answers of functions of the application, so that a flow does not ask them again.

    Args:
        principal: the caller that the questions were about.
        answers: the answers.
    """

    __slots__ = ("_answers", "_principal")

    is_decision: ClassVar[Literal[False]] = False

    def __init__(self, principal: Principal, answers: _Answers) -> None:
        self._principal = principal
        self._answers = answers

    def given_to(self, flow: Flow[Result]) -> Flow[Result]:
        """Run a flow, and give it the answers instead of calling the functions again.

        A call about another principal is made: the credential may belong to another caller by now.
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
        """Return the answer to a call that has been made, or raise the exception that it has raised."""
        for callback, answer, error in self._answers:
            if callback is question.callback and question.arguments[0] is self._principal:
                if error is not None:
                    raise error
                return answer
        return _NO_ANSWER


_NO_ANSWER = object()

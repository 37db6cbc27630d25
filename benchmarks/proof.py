"""Proof before measurement: who is timed answers 200 to the good token, and refuses the others."""

import asyncio
import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator

from benchmarks.apps import Contestant
from benchmarks.tokens import Issuer
from benchmarks.traffic import ask_asgi, ask_wsgi, bearer

BAD: dict[str, Callable[[Issuer], str]] = {
    "tampered": Issuer.tampered,
    "forged": Issuer.forged,
    "expired": Issuer.expired,
    "wrong audience": Issuer.wrong_audience,
    "wrong issuer": Issuer.wrong_issuer,
}


class ProofError(Exception):
    """A contestant that does not guard has no place in a table of guards."""


def prove(contestant: Contestant, issuer: Issuer) -> dict[str, int]:
    """Ask a contestant for the page, with good and bad tokens and without.

    Returns:
        The status by case.

    Raises:
        ProofError: if it does not do what it is timed for.
    """
    with _quiet(), asyncio.Runner() as runner:
        app = contestant.build(issuer)

        def ask(token: str | None) -> int:
            fields = [] if token is None else [bearer(token)]
            return ask_wsgi(app, *fields) if contestant.wsgi else ask_asgi(runner, app, *fields)

        good = issuer.token()
        answers = {"good": ask(good), "good again": ask(good)}
        answers |= {case: ask(make(issuer)) for case, make in BAD.items()}
        answers |= {"none": ask(None), "good at last": ask(issuer.token())}
    check(contestant, answers)
    return answers


def check(contestant: Contestant, answers: dict[str, int]) -> None:
    """Raise unless good tokens got 200 and all others a refusal, but for what is declared.

    What is declared must be true, too: nobody is said to be weaker than they are.
    """
    for case, status in answers.items():
        wanted = status == 200 if case.startswith("good") else 400 <= status < 500
        declared = case in contestant.unchecked
        if wanted == declared:
            raise ProofError(f"{contestant.name}: {case} token: {status}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Rivals log and warn about each refusal; the tables say what they answered."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)

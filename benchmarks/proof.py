"""Prove before measurements that each contestant accepts the valid token, and refuses the others."""

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
    """Report a contestant that does not guard."""


def prove(contestant: Contestant, issuer: Issuer) -> dict[str, int]:
    """Request the page of a contestant, with valid and invalid tokens and without one.

    Returns:
        The status by case.

    Raises:
        ProofError: if an answer is wrong.
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
    """Raise an error unless valid tokens got 200 and all others a refusal, except for the declared cases.

    A declared case must not be refused, so that no contestant seems weaker than it is.
    """
    for case, status in answers.items():
        wanted = status == 200 if case.startswith("good") else 400 <= status < 500
        declared = case in contestant.unchecked
        if wanted == declared:
            raise ProofError(f"{contestant.name}: {case} token: {status}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the logs and warnings of rivals about refusals, because the tables show their answers."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)

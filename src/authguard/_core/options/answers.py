"""Describe an answer of a function of the application that cannot be used."""

from types import CoroutineType

from authguard._core.options.values import type_of


def unusable_answer(function: str, expected: str, answer: object) -> TypeError:
    """Return the error for an answer of another type, and close a coroutine that was not awaited.

    Args:
        function: the name of the function, as the application knows it.
        expected: what it must return.
        answer: what it has returned. Only its type is shown, because its contents may be secret.
    """
    remedy = ""
    if isinstance(answer, CoroutineType):
        answer.close()  # or Python would warn that it was never awaited
        remedy = ": await it"
    return TypeError(f"{function} must return {expected}, got {type_of(answer)}{remedy}")

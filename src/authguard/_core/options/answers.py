"""Check the answers of functions of the application, and describe those that cannot be used."""

from types import CoroutineType

from authguard._core.options.values import type_of


def unusable_answer(function: str, expected: str, answer: object) -> TypeError:
    """Return the error for an answer of another type, and close a coroutine that was not awaited.

    Args:
        function: the name of the function, as the application knows it.
        expected: the expected type of the answer.
        answer: the return value. Only its type is shown, because its contents may be secret.
    """
    remedy = ""
    if isinstance(answer, CoroutineType):
        answer.close()  # otherwise Python warns that the coroutine was never awaited
        remedy = ": await it"
    return TypeError(f"{function} must return {expected}, got {type_of(answer)}{remedy}")


def yes_or_no(function: str, answer: object) -> bool:
    """Return the answer of a function that returns True or False; accept 1 and 0, as from a database, too.

    The truth value of other answers would mislead: None of a forgotten `return` is false, and the text "no"
    is true.

    Args:
        function: the name of the function, as the application knows it.
        answer: the return value.

    Raises:
        TypeError: if it is anything else.
    """
    if isinstance(answer, bool):
        return answer
    if type(answer) is int and answer in (0, 1):
        return bool(answer)
    raise unusable_answer(function, "True or False", answer)

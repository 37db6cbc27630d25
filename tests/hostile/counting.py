"""Count the work of a request, so that a test needs no clock to find that it is too much."""

import gc
import sys
import unicodedata
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Self

from benchmarks.hostile_guards import Answer, Step

# A step is a line of Python, or a call. The limit leaves a part of the 20 milliseconds for work in C between
# two steps.
MAX_STEPS = 400_000
# Characters of text and bytes whose methods are called; a method usually reads them once, a gigabyte in a
# second.
MAX_CHARACTERS = 10_000_000
# Normalizing a character takes much longer than reading it, and even longer if characters must be sorted.
MAX_NORMALIZED = 40_000
# Each parsed text has at most 12 KiB, and each signature is verified by a key of limited size.
MAX_PARSED = 10
MAX_SIGNATURES = 2
#: Bytes of the largest refusal, so that a small request never causes a large answer.
MAX_ANSWER = 16 * 1024

_READERS = (str, bytes, bytearray)


class TooMuchWorkError(BaseException):
    """Report more steps than allowed; no `except Exception` must hide it."""


class Work:
    """Count the work inside of its context.

    Attributes:
        steps: lines of Python, and calls of functions, including those written in C.
        characters: of all text and bytes that methods were called on.
        normalized: characters that were normalized, or looked up in the tables of Unicode.
        parsed: texts of JSON.
        signatures: signatures that were verified.
    """

    def __init__(self) -> None:
        self.steps = self.characters = self.normalized = self.parsed = self.signatures = 0

    def __enter__(self) -> Self:
        self._before = (sys.gettrace(), sys.getprofile())
        gc.disable()  # otherwise the finalizers of old objects would be counted, too
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        return self

    def __exit__(self, *raised: object) -> None:
        sys.settrace(self._before[0])
        sys.setprofile(self._before[1])
        gc.enable()

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuchWorkError
        return self._trace

    def _profile(self, frame: Any, event: str, called: Any) -> None:
        if event == "c_call":
            self.steps += 1
            own = getattr(called, "__self__", None)
            if isinstance(own, _READERS):
                self.characters += len(own)
            elif called.__name__ == "verify":  # signatures by a public key
                self.signatures += 1
            elif called.__name__ == "from_json":  # the parser of jiter
                self.parsed += 1
        elif event == "call" and frame.f_code.co_name == "verifies":  # signatures by a secret
            self.signatures += 1
        elif event == "call" and frame.f_code.co_name == "raw_decode":
            self.parsed += 1

    def excess(self) -> dict[str, int]:
        """Return the counts that exceed their limits."""
        limits = {
            "steps": MAX_STEPS,
            "characters": MAX_CHARACTERS,
            "normalized": MAX_NORMALIZED,
            "parsed": MAX_PARSED,
            "signatures": MAX_SIGNATURES,
        }
        return {name: value for name, most in limits.items() if (value := getattr(self, name)) > most}


@contextmanager
def counting_unicode(work: Work) -> Iterator[None]:
    """Count the characters in calls of `unicodedata`."""
    before = {name: getattr(unicodedata, name) for name in ("normalize", "is_normalized", "category")}

    def counted(name: str) -> Any:
        def call(*arguments: str) -> Any:
            work.normalized += len(arguments[-1])
            return before[name](*arguments)

        return call

    for name in before:
        setattr(unicodedata, name, counted(name))
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(unicodedata, name, function)


class Direct:
    """Run coroutines that never wait, without an event loop, because its steps would be counted."""

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine to its end."""
        try:
            coroutine.send(None)
        except StopIteration as ended:
            answer: Answer = ended.value
            return answer
        raise AssertionError("it waits for something")


def count(step: Step) -> tuple[Work, Answer | None]:
    """Return the work of a request, and its answer; None if the work was too much."""
    work, answer = Work(), None
    try:
        with counting_unicode(work), work:
            answer = step(Direct())  # type: ignore[arg-type]
    except TooMuchWorkError:
        pass
    return work, answer


_NOT_KEPT = (ModuleType, FunctionType, BuiltinFunctionType, MethodType, type)


def bytes_kept(*roots: object) -> int:
    """Return the bytes of all objects that some objects refer to: the size of their memory."""
    seen: set[int] = set()
    waiting, total = list(roots), 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _NOT_KEPT):
            continue
        seen.add(id(thing))
        total += sys.getsizeof(thing)
        waiting += gc.get_referents(thing)
    return total

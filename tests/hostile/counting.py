"""Counts the work that a request makes, so that no clock is needed to say that it is too much."""

import gc
import sys
import unicodedata
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, Self

from benchmarks.hostile_guards import Answer, Step

# A step is a line of Python, or a call: some 0.03 microseconds. Of 20 milliseconds these take 12, and leave
# the rest for what is done in C between two steps.
MAX_STEPS = 400_000
# What methods of text and bytes are called on: they read that once, as a rule, a gigabyte in a second.
MAX_CHARACTERS = 10_000_000
# Normalizing takes 0.1 microseconds for a character, and more where it has to sort.
MAX_NORMALIZED = 40_000
# Each parses at most 12 KiB, and each signature is verified by a key of a size that is bounded.
MAX_PARSED = 10
MAX_SIGNATURES = 2
#: Bytes that a refusal may have, so that nobody lets us send much by sending little.
MAX_ANSWER = 16 * 1024

_READERS = (str, bytes, bytearray)


class TooMuchWorkError(BaseException):
    """More steps than there may be; no `except Exception` is to hide it."""


class Work:
    """Counts what happens inside of its context.

    Attributes:
        steps: lines of Python, and calls of functions, those written in C included.
        characters: of all text and bytes that methods were called on.
        normalized: characters that were normalized, or looked up in the tables of Unicode.
        parsed: texts of JSON.
        signatures: signatures that were verified.
    """

    def __init__(self) -> None:
        self.steps = self.characters = self.normalized = self.parsed = self.signatures = 0

    def __enter__(self) -> Self:
        self._before = (sys.gettrace(), sys.getprofile())
        gc.disable()  # what it finds to finalize would be counted, too
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
            elif called.__name__ == "verify":  # of a public key
                self.signatures += 1
            elif called.__name__ == "from_json":  # of jiter
                self.parsed += 1
        elif event == "call" and frame.f_code.co_name == "verifies":  # of a secret
            self.signatures += 1
        elif event == "call" and frame.f_code.co_name == "raw_decode":
            self.parsed += 1

    def excess(self) -> dict[str, int]:
        """Return what is more than it may be."""
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
    """Let `unicodedata` count the characters that it is given."""
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
    """Runs coroutines that wait for nothing, without an event loop, whose steps would be counted."""

    def run(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        """Run one to its end."""
        try:
            coroutine.send(None)
        except StopIteration as ended:
            answer: Answer = ended.value
            return answer
        raise AssertionError("it waits for something")


def count(step: Step) -> tuple[Work, Answer | None]:
    """Return the work that a request makes, and its answer; none if it was too much."""
    work, answer = Work(), None
    try:
        with counting_unicode(work), work:
            answer = step(Direct())  # type: ignore[arg-type]
    except TooMuchWorkError:
        pass
    return work, answer


_NOT_KEPT = (ModuleType, FunctionType, BuiltinFunctionType, MethodType, type)


def bytes_kept(*roots: object) -> int:
    """Return the bytes of all that can be reached from some objects: what they remember."""
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

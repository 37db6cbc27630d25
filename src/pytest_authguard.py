"""Give fixtures to the tests of applications; see docs/testing.md.

The module is outside the package, because pytest imports it wherever authguard is installed. Only the
fixtures import the package, for the tests that use them.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from authguard import Guard, Principal
    from authguard.testing import Clock, FakeIssuer

__all__ = ["authguard_clock", "authguard_override", "fake_issuer"]


@pytest.fixture
def authguard_clock() -> "Clock":
    """Return a clock that moves by hand."""
    from authguard.testing import Clock

    return Clock()


@pytest.fixture
def fake_issuer(authguard_clock: "Clock") -> "FakeIssuer":
    """Return an issuer that uses `authguard_clock`."""
    from authguard.testing import FakeIssuer

    return FakeIssuer(clock=authguard_clock)


@pytest.fixture
def authguard_override() -> "Iterator[Callable[..., None]]":
    """Return a function that treats senders of requests as a user, until the test ends.

    Its arguments are those of `authguard.testing.override`.
    """
    from authguard.testing import override

    with ExitStack() as stack:

        def until_the_end(
            guard: "Guard", user: Any, *, principal: "Principal | None" = None, everywhere: bool = True
        ) -> None:
            stack.enter_context(override(guard, user, principal=principal, everywhere=everywhere))

        yield until_the_end

"""Treat callers as certain users, in tests of applications: the methods of a guard for it."""

from copy import copy
from typing import Any, ClassVar, Self

from authguard._core.deciding.full_path import FullPath
from authguard._core.deciding.later_checks import LaterChecks
from authguard._core.deciding.overridden import Override, Substituted, use
from authguard._core.deciding.straight_path import Confirm, Recall, StraightPath
from authguard._core.deciding.telling import Telling
from authguard._core.model import Principal
from authguard._core.options import named_options


class OverriddenInTests:
    """Treat callers as certain users, in tests; a base of `Guard`."""

    #: Defined by `VerifiesOutside`; its `warn` logs a line for the operator.
    driving: ClassVar[Any]
    #: Decides about an HTTP request, if no question is needed; otherwise returns the known facts about it.
    #: Its arguments: the `recalled_fields` of the request; the key of the request, as in
    #: `RequestView.request_key`, but with the method as the server gives it; seconds since the epoch.
    recall: Recall
    #: Decides about a request after a function of the application has been asked; see `StraightPath`.
    confirm: Confirm
    _straight_path: StraightPath
    _full_path: FullPath
    _later_checks: LaterChecks
    _telling: Telling | None

    @named_options
    def override(self, user: Any, *, principal: Principal | None = None, everywhere: bool = True) -> Override:
        """Treat the sender of each request as this user; see `authguard.testing.override`."""
        override = Override(self._straight_path, user, principal, everywhere=everywhere)
        has_loader = self._straight_path.own_callers.users.loader is not None
        if has_loader and isinstance(user, Principal) and user.is_authenticated:
            self.driving.warn(
                "the guard has a user_loader, and override gives the views a Principal in the place of the "
                "user that it would return: write override(guard, user, principal=Principal(…))"
            )
        return override

    def substituting(self, user: Any, *, principal: Principal | None = None) -> Self:
        """Return a guard like this one, which treats callers without a credential as a user.

        The new guard is for overrides of dependencies, which apply to one application. This guard is not
        changed.

        Args:
            user: a `Principal`, or the application's own user; None to call `user_loader` for that of the
                principal.
            principal: the principal for the guard, if the user is not a principal.
        """
        substituting = copy(self)
        path = substituting._straight_path = self._straight_path.copied()  # noqa: SLF001 (its own)
        use(path, Substituted(self._straight_path, user, principal))
        substituting._full_path = self._full_path.on(path)  # noqa: SLF001
        substituting._later_checks = self._later_checks.on(path)  # noqa: SLF001
        substituting._decide_by(path)  # noqa: SLF001
        return substituting

    def _decide_by(self, path: StraightPath) -> None:
        """Decide at once by a straight path, and report its decisions to `on_decision`."""
        self.recall, self.confirm = path.recall, path.confirm
        if self._telling is not None:
            self.recall = self._telling.around(path.recall)
            self.confirm = self._telling.around_confirm(path.confirm)

"""Build the parts that all endpoints and pages share."""

from dataclasses import dataclass

from authguard.identity.service import IdentityService
from authguard.identity.settings import Settings
from authguard.identity.web.browser_session import BrowserSessions, Refreshes
from authguard.identity.web.workers import Workers


@dataclass(frozen=True, slots=True)
class Web:
    """Hold the parts that all endpoints and pages share.

    Attributes:
        service: the use cases.
        workers: the threads that use cases run in.
        refreshes: refreshes sessions by refresh tokens.
        browser_sessions: the sessions of browsers.
    """

    service: IdentityService
    workers: Workers
    refreshes: Refreshes
    browser_sessions: BrowserSessions

    @property
    def settings(self) -> Settings:
        """Return the settings of the service."""
        return self.service.settings


def build_web(service: IdentityService) -> Web:
    """Build the parts for a service; `Workers.close` ends their threads."""
    workers = Workers(service.settings.worker_threads, one_writer=service.database.is_sqlite)
    refreshes = workers.batch_writes(service.sessions.refresher.refresh_all)
    return Web(service, workers, refreshes, BrowserSessions(service, workers, refreshes))

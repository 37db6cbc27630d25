"""The parts that all endpoints and pages share."""

from dataclasses import dataclass

from authguard.identity.service import IdentityService
from authguard.identity.settings import Settings
from authguard.identity.web.browser_session import BrowserSessions
from authguard.identity.web.workers import Workers


@dataclass(frozen=True, slots=True)
class Web:
    """The parts that all endpoints and pages share.

    Attributes:
        service: the use cases.
        workers: the threads that use cases run in.
        browser_sessions: the sessions of browsers.
    """

    service: IdentityService
    workers: Workers
    browser_sessions: BrowserSessions

    @property
    def settings(self) -> Settings:
        """The settings of the service."""
        return self.service.settings


def build_web(service: IdentityService) -> Web:
    """Build the parts for a service; `Workers.close` ends their threads."""
    workers = Workers(service.settings.worker_threads, one_writer=service.database.is_sqlite)
    return Web(service, workers, BrowserSessions(service, workers))

"""Serve the page about the usage of one API key: the days of a month, and the hours of a day."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from authguard.identity.pages.key_pages import KEYS_PAGE, find_key
from authguard.identity.pages.owner_pages import OwnerPages, for_owner
from authguard.identity.pages.usage_charts import by_rule, chart_of
from authguard.identity.storage.usage_levels import DAY, DAY_SECONDS, HOUR, HOUR_SECONDS
from authguard.identity.web.browser_session import Visitor
from authguard.identity.web.messages import query_of

_USAGE = f"{KEYS_PAGE}/usage"
_DAYS, _HOURS = 30, 24


class KeyUsagePage(OwnerPages):
    """Show the outcomes of the requests with a key."""

    def routes(self) -> list[Route]:
        """Return the route; none if API keys are switched off."""
        settings = self._service.settings
        if not settings.api_keys:
            return []
        return [Route(settings.pages_path + _USAGE, self.usage_page, methods=["GET"])]

    @for_owner(_USAGE)
    async def usage_page(self, request: Request, visitor: Visitor) -> Response:
        """Show the last 30 days and the last 24 hours, including the current ones."""
        service, read, now = self._service, self._workers.read, self._service.clock()
        key = find_key(await read(service.api_keys.list, visitor.principal), query_of(request).get("key", ""))
        today, hour = DAY.start_of(now), HOUR.start_of(now)
        days = [today - DAY_SECONDS * ago for ago in reversed(range(_DAYS))]
        hours = [hour - HOUR_SECONDS * ago for ago in reversed(range(_HOURS))]
        of_days = await read(
            service.api_keys.usage_of, visitor.principal, key.id, DAY, begin=days[0], end=DAY.end_of(today)
        )
        of_hours = await read(
            service.api_keys.usage_of, visitor.principal, key.id, HOUR, begin=hours[0], end=HOUR.end_of(hour)
        )
        values: dict[str, Any] = {
            "key": key,
            "now": now,
            "charts": [chart_of("days", days, of_days), chart_of("hours", hours, of_hours)],
            "rules": by_rule(of_days),
        }
        return self._views.page(request, "account-key-usage", visitor=visitor, **values)

"""Record the charge of a request: the amounts taken from the quotas of its caller."""

from dataclasses import dataclass

from authguard._core.answer.response_fields import ResponseFields
from authguard._core.quota_store import Taken


@dataclass(slots=True)
class Charge:
    """Record the charge of one request: the amounts taken from the quotas of its caller.

    Attributes:
        response_fields: fields that the adapter always adds to the application's response, by `merged`.
        taken: the amounts that were taken; None if a decorator or dependency must take them, as on public
            paths.
        fields: the RateLimit fields of the response.
        is_refused: whether a decorator, a dependency or an inner guard has refused the request afterwards.
    """

    response_fields: ResponseFields
    taken: Taken | None = None
    fields: ResponseFields = ()
    is_refused: bool = False

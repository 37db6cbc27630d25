"""Answer like an introspection endpoint (RFC 7662), for authenticated clients."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from providers.internet import ProviderRequest


def introspection(url: str, client_id: str, secret: str, answers: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the page of an introspection endpoint.

    Args:
        url: its URL.
        client_id: the client that may ask.
        secret: its secret.
        answers: the answer about each token, named by its text, or by a function that returns it; other
            tokens are not active.
    """
    # RFC 6749 section 2.3.1: both parts are encoded as in a form.
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    expected = f"Basic {base64.b64encode(pair.encode()).decode()}"
    known = {name if isinstance(name, str) else name(): answer for name, answer in answers.items()}

    def page(question: ProviderRequest) -> Any:
        if question.headers.get("authorization") != expected:
            return None
        return known.get(question.form["token"], {"active": False})

    return {url: page}

"""List the cases of the table in which a server answers itself, or changes the request."""

from adapters.answering import BEARER, Case
from adapters.cases import CASES

#: Requests that a server refuses before the guard sees them, with one of these statuses; 0 means no answer.
Own = dict[str, set[int]]
_MEGABYTE = ("a key of a megabyte", "two keys of a megabyte")
_SMALL = ("no credential with the method websocket", "no credential with a method in small letters")


def _all(names: tuple[str, ...], *statuses: int) -> Own:
    return {name: set(statuses) for name in names}


# uvicorn closes while the fields are still being sent, so its 400 does not always arrive.
_H11 = _all(_MEGABYTE, 0, 400)
# httptools knows only the methods of its list.
_HTTPTOOLS = _all((*_SMALL, "no credential with the method WEBSOCKET"), 400)
# 64 KiB for all fields.
_HYPERCORN = _all(_MEGABYTE, 0, 431)
# 400 KiB for all fields.
_GRANIAN = _all(_MEGABYTE, 0, 431)
# Twisted closes the connection if a line has more than 16 KiB.
_DAPHNE = _all((*_MEGABYTE, "a token too long"), 0, 400)
# Methods in capitals, 4,094 bytes for the first line, 8,190 bytes for a field.
_GUNICORN = {
    **_all(_SMALL, 400),
    **_all(("no credential on a path that is too long",), 0, 414),
    **_all((*_MEGABYTE, "a token too long"), 0, 431),
}

OWN: dict[str, Own] = {
    "uvicorn with h11": _H11,
    "uvicorn with httptools": _HTTPTOOLS,
    "hypercorn 0.17": _HYPERCORN,
    "hypercorn": _HYPERCORN,
    "hypercorn on trio": _HYPERCORN,
    "granian on ASGI": _GRANIAN,
    "granian on WSGI": _GRANIAN,
    "daphne": _DAPHNE,
    "gunicorn sync": _GUNICORN,
    "gunicorn gthread": _GUNICORN,
    "gunicorn gevent": _GUNICORN,
}

#: Requests that a server changes, with the guard's answer to the changed request.
CHANGED: dict[str, dict[str, Case]] = {
    # The server passes an empty text for a value that is not ASCII.
    "granian on WSGI": {
        "a token that is not ASCII": Case(
            fields=CASES["a token that is not ASCII"].fields, status=401, challenge=BEARER
        )
    },
}

#: These servers refuse each handshake with 403, because they lack the extension for answers of the
#: application.
WITHOUT_HANDSHAKE_ANSWERS = {"daphne"}

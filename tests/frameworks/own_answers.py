"""The cases of the table that a server does not carry: it answers by itself, or changes the request."""

from adapters.answering import BEARER, Case
from adapters.cases import CASES

#: The server refuses the request before the guard sees it, with one of these statuses; 0 is no answer at all.
Own = dict[str, set[int]]
_MEGABYTE = ("a key of a megabyte", "two keys of a megabyte")
_SMALL = ("no credential with the method websocket", "no credential with a method in small letters")


def _all(names: tuple[str, ...], *statuses: int) -> Own:
    return {name: set(statuses) for name in names}


# uvicorn closes while the fields are still being sent, so its 400 does not always arrive.
_H11 = _all(_MEGABYTE, 0, 400)
# httptools knows the methods of its list alone.
_HTTPTOOLS = _all((*_SMALL, "no credential with the method WEBSOCKET"), 400)
# 64 KiB for all fields.
_HYPERCORN = _all(_MEGABYTE, 0, 431)
# 400 KiB for all fields.
_GRANIAN = _all(_MEGABYTE, 0, 431)
# Twisted closes when a line has more than 16 KiB.
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

#: The server changes the request, and this is the guard's answer to what is left.
CHANGED: dict[str, dict[str, Case]] = {
    # It gives an empty text for a value that is not ASCII.
    "granian on WSGI": {
        "a token that is not ASCII": Case(
            fields=CASES["a token that is not ASCII"].fields, status=401, challenge=BEARER
        )
    },
}

#: They refuse each handshake with 403: they lack the extension by which an application gives the answer.
WITHOUT_HANDSHAKE_ANSWERS = {"daphne"}

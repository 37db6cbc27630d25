"""List requests that cause as much work as possible: with long, odd, deep and many parts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks import hostile_paths, hostile_proofs, hostile_tokens
from benchmarks.hostile_paths import KIB, LONGEST_FIELD, LONGEST_PATH, filled

Fields = tuple[tuple[str, bytes], ...]


_NAVIGATES: Fields = (("sec-fetch-mode", b"navigate"), ("accept", b"text/html"))


@dataclass(frozen=True)
class Hostile:
    """Hold one request, independent of an adapter.

    Attributes:
        path: decoded, as servers pass it.
        method: the method.
        fields: header fields, names in lower case.
        query: the query string.
        root_path: the mount point, which some servers set from a header field.
        subprotocols: those that a websocket offers.
    """

    path: str = "/private"
    method: str = "GET"
    fields: Fields = ()
    query: bytes = b""
    root_path: str = ""
    subprotocols: tuple[str, ...] = field(default=(), repr=False)

    @property
    def size(self) -> int:
        """Return the number of characters of the whole request."""
        return sum(map(len, (self.path, self.method, self.query, self.root_path, *self.subprotocols))) + sum(
            len(name) + len(value) for name, value in self.fields
        )


# Paths


def paths() -> dict[str, Hostile]:
    """Return paths of each kind and size."""
    return {name: Hostile(path) for name, path in hostile_paths.paths().items()}


# Methods, fields, mounts


def methods() -> dict[str, Hostile]:
    """Return methods that servers should refuse."""
    kinds = {
        "capitals": "A",
        "small letters": "get",
        "letters that grow": "ß",
        "line breaks": "GET\r\n",
        "zeros": "\x00",
    }
    requests = {
        f"method of 64 KiB: {kind}": Hostile(method=filled(text, LONGEST_FIELD))
        for kind, text in kinds.items()
    }
    preflight: Fields = (
        ("origin", b"https://a.example"),
        ("access-control-request-method", b"G" * LONGEST_FIELD),
    )
    requests["preflight that asks for a method of 64 KiB"] = Hostile(method="OPTIONS", fields=preflight)
    return requests


_FILLINGS = {
    "letters": b"a",
    "commas": b",",
    "semicolons": b";",
    "spaces": b" ",
    "quotes": b'"',
    "bytes above ASCII": b"\xff",
    "percent signs": b"%25",
    "media types": b"text/html;q=0,",
    "parameters": b"text/html;q=0.0;q=0;",
    "URLs": b"https://a.example/",
}
_READ_FIELDS = (
    "accept", "sec-fetch-mode", "sec-fetch-site", "host", "origin", "hx-request", "hx-current-url",
    "access-control-request-method", "sec-websocket-protocol", "dpop", "client-cert", "x-forwarded-prefix",
)  # fmt: skip


def fields() -> dict[str, Hostile]:
    """Return long and many header fields, beside the cookie's and those of credentials."""
    requests = {
        f"field {name} of 64 KiB: {kind}": Hostile(fields=((name, _repeat(text)),))
        for name in _READ_FIELDS
        for kind, text in _FILLINGS.items()
    }
    for name in ("origin", "host", "sec-fetch-site"):  # examined with a cookie, if the method is unsafe
        requests[f"unsafe method with a cookie, and field {name} of 64 KiB"] = Hostile(
            method="POST", fields=(("cookie", b"access_token=a.b.c"), (name, b"a" * LONGEST_FIELD))
        )
    htmx = (("hx-request", b"true"), ("hx-current-url", b"https://a.example/" + b"%25" * 20_000))
    requests |= {
        "HTMX with a current URL of 60 KiB": Hostile(fields=htmx),
        "HTMX with a current URL of slashes": Hostile(
            fields=(("hx-request", b"true"), ("hx-current-url", b"https://" + b"/" * LONGEST_FIELD))
        ),
        "1,000 fields": Hostile(fields=tuple((f"x-{number}", b"a") for number in range(1000))),
        "10,000 fields": Hostile(fields=tuple((f"x{number:x}", b"") for number in range(10_000))),
        "a field whose name has 64 KiB": Hostile(fields=(("x" * LONGEST_FIELD, b"a"),)),
        "1,000 fields in capitals": Hostile(fields=tuple(("AUTHORIZATION", b"x") for _ in range(1000))),
    }
    for name in (
        "authorization",
        "x-api-key",
        "cookie",
        "accept",
        "sec-fetch-mode",
        "origin",
        "host",
        "dpop",
        "client-cert",
        "hx-request",
    ):
        requests[f"field {name}, 10,000 times"] = Hostile(fields=((name, b"text/html;q=0"),) * 10_000)
    return requests


def _repeat(text: bytes) -> bytes:
    return (text * (LONGEST_FIELD // len(text) + 1))[:LONGEST_FIELD]


def redirects() -> dict[str, Hostile]:
    """Return requests whose parts become a part of the login page's URL."""
    queries = {
        "letters": b"a", "percent signs": b"%", "encoded percent signs": b"%25", "ampersands": b"&", "quotes": b'"',
        "bytes above ASCII": b"\xff", "spaces": b" ", "number signs": b"#", "line breaks": b"\r\n",
    }  # fmt: skip
    requests = {
        f"navigation with a query of 64 KiB: {kind}": Hostile(fields=_NAVIGATES, query=_repeat(text))
        for kind, text in queries.items()
    }
    requests |= {
        f"navigation to a path of {size // KIB} KiB: {kind}": Hostile(
            "/" + filled(text, size), fields=_NAVIGATES
        )
        for size in (64 * KIB, LONGEST_PATH)
        for kind, text in {
            "letters": "a",
            "accented letters": "é",
            "ligatures": "\ufdfa",
            "quotes": '"',
            "slashes": "/",
        }.items()
    }
    requests["navigation to the login page with a next of 64 KiB"] = Hostile(
        "/login", fields=_NAVIGATES, query=b"next=" + b"%2F" * (LONGEST_FIELD // 3)
    )
    for kind, text in {
        "letters": "a",
        "segments": "/a",
        "slashes": "/",
        "accented letters": "/é",
        "ligatures": "/\ufdfa",
    }.items():
        requests[f"mount point of 64 KiB: {kind}"] = Hostile(
            root_path=filled(text, LONGEST_FIELD), fields=_NAVIGATES
        )
        mount = filled(text, LONGEST_FIELD)
        requests[f"mount point of 64 KiB, in the path, too: {kind}"] = Hostile(
            mount + "/private", root_path=mount
        )
    requests["mount point of 64 KiB, and an odd path"] = Hostile(
        "/a//b;c", root_path="/a" * (LONGEST_FIELD // 2)
    )
    return requests


# Credentials


_KEY = ("x-api-key", b"sk_live_h0stile-0nly-Key-of-nobody-9Vx")


def cookies() -> dict[str, Hostile]:
    """Return long, many and repeated cookies."""

    def one(value: bytes, **more: object) -> Hostile:
        return Hostile(fields=(("cookie", value),), **more)  # type: ignore[arg-type]

    return {
        "100 cookies of 4 KiB in one field": one(b"; ".join(b"c%d=" % n + b"a" * 4 * KIB for n in range(100))),
        "100 cookies of 4 KiB in 100 fields": Hostile(
            fields=tuple(("cookie", b"c%d=" % n + b"a" * 4 * KIB) for n in range(100))
        ),
        "a cookie field of 20,000 parts": one(b"a=b" + b";a" * 20_000 + b"a" * 24_000),
        "a cookie field of 64 KiB: semicolons": one(b";" * LONGEST_FIELD),
        "a cookie field of 64 KiB: semicolons and spaces": one(b"; " * (LONGEST_FIELD // 2)),
        "a cookie field of 64 KiB: equals signs": one(b"=" * LONGEST_FIELD),
        "a cookie field of 64 KiB: spaces": one(b" " * LONGEST_FIELD),
        "a cookie field of 64 KiB: spaces, and a name": one(b";" + b" " * LONGEST_FIELD + b"x"),
        "a cookie of the name 1,000 times": one(b"; ".join([b"access_token=a"] * 1000)),
        "a cookie of the name in 1,000 fields": Hostile(fields=(("cookie", b"access_token=a"),) * 1000),
        "a cookie of the name at the end of 64 KiB": one(b";" * LONGEST_FIELD + b"access_token=a.b.c"),
        "the name without a value 16,000 times": one(b"access_token;" * 16_000),
        "a token of 64 KiB in the cookie": one(b"access_token=" + b"a" * LONGEST_FIELD),
        "a token of 1 MiB in the cookie": one(b"access_token=" + b"a" * KIB * KIB),
        "a token of 64 KiB of dots in the cookie": one(b"access_token=" + b"." * LONGEST_FIELD),
        "a token of 60 KiB of JSON in the cookie": one(b"access_token=" + hostile_tokens.of_size(45 * KIB).encode()),
        "a token of 1 MiB of JSON in the cookie": one(b"access_token=" + hostile_tokens.of_size(768 * KIB).encode()),
        # Texts that are searched in log lines when a store is down, or a function raises.
        "an API key beside 3,500 cookies": Hostile(fields=(_KEY, ("cookie", b"; ".join([b"a=" + b"b" * 16] * 3500)))),
        "an API key beside 190 cookies of 300 characters": Hostile(
            fields=(_KEY, ("cookie", b"; ".join(b"c%d=" % n + b'"%\xff' * 100 for n in range(190))))
        ),
        "an API key beside a cookie of 64 KiB": Hostile(fields=(_KEY, ("cookie", b"a=" + b'"%41\\' * 13_000))),
        "an API key beside 1,000 fields of cookies": Hostile(fields=(_KEY, *(("cookie", b"a=" + b"b" * 60),) * 1000)),
        "a cookie that says that one was redirected": one(b"access_token-step-up=" + b"a" * LONGEST_FIELD),
    }  # fmt: skip


def authorizations() -> dict[str, Hostile]:
    """Return fields with texts that are not credentials."""
    sizes = {"16 KiB": 16 * KIB - 1, "64 KiB": LONGEST_FIELD, "1 MiB": KIB * KIB}
    kinds = {
        "letters": (b"Bearer ", b"a"), "dots": (b"Bearer ", b"."), "spaces": (b"Bearer ", b" "), "commas": (b"Bearer ", b","),
        "equals signs": (b"Bearer ", b"="), "no scheme": (b"", b"a"), "nothing but commas": (b"", b","),
        "commas and spaces": (b"", b", "), "schemes": (b"", b"Bearer ,"), "line breaks": (b"Bearer ", b"\r\n"),
        "bytes above ASCII": (b"Bearer ", b"\xff"), "DPoP": (b"DPoP ", b"a."), "another scheme": (b"Digest ", b"a=b,"),
        "an API key": (b"Bearer sk_live_", b"a"), "tabs": (b"", b"\t"),
    }  # fmt: skip
    requests = {
        f"Authorization of {size_name}: {kind}": Hostile(
            fields=(("authorization", head + (text * (size // len(text) + 1))[:size]),)
        )
        for size_name, size in sizes.items()
        for kind, (head, text) in kinds.items()
    }
    keys = {
        "letters": b"a",
        "spaces": b" ",
        "commas": b",",
        "bytes above ASCII": b"\xff",
        "the prefix": b"sk_live_",
    }
    requests |= {
        f"X-API-Key of {size_name}: {kind}": Hostile(
            fields=(("x-api-key", (text * (size // len(text) + 1))[:size]),)
        )
        for size_name, size in sizes.items()
        for kind, text in keys.items()
    }
    return requests


def tokens() -> dict[str, Hostile]:
    """Return tokens of every bad form, most of them as `Bearer`, some in the cookie and as a subprotocol."""
    return {f"token: {name}": _bearer(token) for name, token in hostile_tokens.tokens().items()}


def _bearer(token: str) -> Hostile:
    return Hostile(fields=(("authorization", b"Bearer " + token.encode()),))


def proofs() -> dict[str, Hostile]:
    """Return tokens that are bound to a key or certificate, with bad proofs."""
    requests = {}
    for name, (token, sent) in hostile_proofs.dpop().items():
        fields = (("authorization", b"DPoP " + token.encode()), *(("dpop", proof.encode()) for proof in sent))
        requests[f"DPoP: {name}"] = Hostile(fields=fields)
    for name, (token, certificate) in hostile_proofs.certificates().items():
        fields = (("authorization", b"Bearer " + token.encode()), ("client-cert", certificate))
        requests[f"client certificate: {name}"] = Hostile(fields=fields)
    return requests


def offers() -> dict[str, Hostile]:
    """Return the subprotocols that a websocket may offer, in the field and as parsed by the server."""

    def offer(*offered: str) -> Hostile:
        field = ", ".join(offered).encode("latin-1", "replace")
        return Hostile(fields=(("sec-websocket-protocol", field),), subprotocols=offered)

    token = "authguard.bearer."
    return {
        "10,000 subprotocols": offer(*(f"p{number}" for number in range(10_000))),
        "10,000 subprotocols with a token": offer(*[token + "YQ"] * 10_000),
        "10,000 subprotocols with a bad token": offer(*[token + "!"] * 10_000),
        "1,000 fields of subprotocols": Hostile(
            fields=(("sec-websocket-protocol", token.encode() + b"YQ"),) * 1000, subprotocols=(token + "YQ",) * 1000
        ),
        "a subprotocol of 64 KiB": offer("a" * LONGEST_FIELD),
        "a subprotocol with a token of 64 KiB": offer(token + "YWFh" * (16 * KIB)),
        "a subprotocol with a token of 1 MiB": offer(token + "YWFh" * (256 * KIB)),
        "a subprotocol with a token of 64 KiB of dots": offer(token + "Li4u" * (16 * KIB)),
        "a subprotocol with a token that is not ASCII": offer(token + "é" * LONGEST_FIELD),
        "65,000 empty subprotocols": offer(*[""] * (LONGEST_FIELD // 2)),
        "the name of the subprotocol 6,000 times": offer(*["authguard"] * 6000),
    }  # fmt: skip


def pages() -> dict[str, Hostile]:
    """Return requests for public pages."""
    known = "/.well-known/oauth-protected-resource"
    return {
        "metadata with a query of 64 KiB": Hostile(known, query=b"a" * LONGEST_FIELD),
        "metadata below a path of 64 KiB": Hostile(known + "/a" * (LONGEST_FIELD // 2)),
        "metadata by a method of 64 KiB": Hostile(known, method="A" * LONGEST_FIELD),
        "a page with optional sign-in, and a bad token": Hostile(
            "/maybe", fields=(("authorization", b"Bearer " + b"." * 16_000),)
        ),
        "a page below one with optional sign-in, 64 KiB": Hostile("/maybe" + "/a" * (LONGEST_FIELD // 2)),
        "a public page with a bad token": Hostile("/public", fields=(("authorization", b"Bearer " + b"." * 16_000),)),
    }  # fmt: skip


#: All requests by group; they are the same for all entrances.
GROUPS: dict[str, Callable[[], dict[str, Hostile]]] = {
    "paths": paths, "methods": methods, "fields": fields, "redirects": redirects, "cookies": cookies,
    "authorizations": authorizations, "tokens": tokens, "proofs": proofs, "offers": offers, "pages": pages,
}  # fmt: skip


def everything(groups: Iterable[str] = tuple(GROUPS)) -> dict[str, Hostile]:
    """Return all requests of some groups, by name."""
    return {name: request for group in groups for name, request in GROUPS[group]().items()}


def usual() -> list[Hostile]:
    """Return usual requests, for the preparation."""
    token = hostile_tokens.token(None, {"kid": hostile_tokens.KID}, algorithm="ES256")
    return [
        Hostile(),
        Hostile(fields=_NAVIGATES),
        Hostile("/é"),
        _bearer(token),
        _bearer(hostile_tokens.token()),
    ]

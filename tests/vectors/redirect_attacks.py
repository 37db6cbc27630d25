"""Make values of `next` that try to leave the site, by parts that URL parsers skip, fold or decode.

`https://app.example` is the site and `evil.example` is another one. Each family uses a rule of the WHATWG URL
standard, of RFC 3986 or of RFC 9110, and each value is text as a form parser returns it.
"""

from collections.abc import Iterator
from itertools import product

EVIL = "evil.example"
SITE = "app.example"
# Parsers strip C0 controls and spaces at the ends, and tabs and line ends everywhere.
SKIPPED = ("\t", "\n", "\r", "\x00", "\x01", "\x08", "\x0b", "\x0c", "\x1f", " ", "\r\n")
# Some libraries also strip these, or display nothing for them.
BLANKS = ("\x7f", "\x85", "\xa0", "\xad", "\u200b", "\u2028", "\u2029", "\u3000", "\ufeff")
SCHEMES = (
    "javascript", "vbscript", "data", "file", "blob", "ftp", "ws", "wss", "mailto", "about", "view-source",
    "intent", "jar", "filesystem", "myapp", "http", "https", "tel",
)  # fmt: skip


def _authorities() -> Iterator[str]:
    for length in (2, 3, 4):
        yield from ("".join(slashes) + EVIL for slashes in product("/\\", repeat=length))
    yield from (
        f"\\{EVIL}",
        "//",
        "\\\\",
        "/\\",
        "\\/",
        f"//{EVIL}:443/",
        f"//{EVIL}/..",
        f"//{EVIL}?",
        f"//{EVIL}#",
    )


def _skipped() -> Iterator[str]:
    for mark in SKIPPED:
        yield from (f"{mark}//{EVIL}", f"/{mark}/{EVIL}", f"/{mark}\\{EVIL}", f"//{mark}{EVIL}")
        yield from (f"{mark}https://{EVIL}", f"htt{mark}ps://{EVIL}", f"java{mark}script:alert(1)")
    for first, two in product("\t\n\r", repeat=2):
        yield from (f"{first}/{two}/{EVIL}", f"/{first}{two}\\{EVIL}")


def _blanks() -> Iterator[str]:
    for mark in BLANKS:
        yield from (f"{mark}//{EVIL}", f"/{mark}/{EVIL}", f"{mark}https://{EVIL}", f"/{mark}{mark}")


def _encoded() -> Iterator[str]:
    for first, second in product(("/", "%2f", "%2F", "%5c", "%5C"), repeat=2):
        if (first, second) != ("/", "/"):
            yield f"{first}{second}{EVIL}"
    for mark in (
        "%252f",
        "%252F",
        "%255c",
        "%25252f",
        "%u002f",
        "%c0%af",
        "%e0%80%af",
        "%09/",
        "%0a/",
        "%00/",
        "%20/",
    ):
        yield from (f"/{mark}{EVIL}", f"{mark}/{EVIL}", f"//{EVIL}{mark}..")


def _dots() -> Iterator[str]:
    for way in (
        "/.",
        "/..",
        "/a/..",
        "/./.",
        "/%2e",
        "/%2e%2e",
        "/.%2E",
        "/a/%2e%2e",
        "/%252e%252e",
        "/..;",
        "/;",
    ):
        yield from (f"{way}//{EVIL}", f"{way}/\\{EVIL}", f"{way}/%2f{EVIL}")
    yield from ("../a", "./a", "..//a", f"/..\\..\\{EVIL}", "..", ".")


def _schemes() -> Iterator[str]:
    for scheme in SCHEMES:
        yield from (
            f"{scheme}:{EVIL}",
            f"{scheme.upper()}://{EVIL}",
            f"{scheme}:/{EVIL}",
            f"{scheme.title()}:///{EVIL}",
        )
    yield from (f"https:{slashes}{EVIL}" for slashes in ("\\", "\\\\", "/\\", "\\/", "//\\", "////"))
    yield from (
        "javascript:alert(1)//",
        f"javascript://{SITE}/%0aalert(1)",
        "data:text/html,<b>",
        "http:",
        "https://",
        ":",
    )


def _userinfo() -> Iterator[str]:
    for mark in (
        "@",
        ":@",
        ":80@",
        "%40",
        "%2540",
        "\\@",
        "%5c@",
        "#@",
        "?@",
        "%23@",
        "/@",
        ";@",
        ",@",
        "&@",
    ):
        yield from (f"https://{SITE}{mark}{EVIL}/", f"//{SITE}{mark}{EVIL}/")
    yield from (f"@{EVIL}", f"https://{EVIL}\\@{SITE}", f"https://{EVIL}#@{SITE}", f"https://[::1]@{EVIL}/")


def _hosts() -> Iterator[str]:
    for host in (
        f"{SITE}.{EVIL}", f"{SITE}{EVIL}", f"evil-{SITE}", f"{EVIL}?.{SITE}", f"{EVIL}#.{SITE}",
        f"{SITE}.", f"{SITE}:8443",
        "2130706433", "0x7f.1", "0177.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "[::1",
        "evil\u3002example", "evil%E3%80%82example",
        "\uff45vil.example", "ev\u0131l.example", f"{EVIL}\uff0f", f"{EVIL}%00.{SITE}",
        f"{EVIL}%2f.{SITE}", f"{SITE}%2e{EVIL}",
    ):  # fmt: skip
        yield from (f"//{host}/", f"https://{host}/a", f"HTTP://{host}")


def _splitting() -> Iterator[str]:
    for end in (
        "\r\n",
        "\n",
        "\r",
        "%0d%0a",
        "%0a",
        "%0D",
        "%250d%250a",
        "%00",
        "\u560d\u560a\r\n",
        "%u000d",
    ):
        yield from (f"/a{end}Set-Cookie: b=c", f"/a{end}{end}<script>", f"/{end}Location: https://{EVIL}")


def _parameters() -> Iterator[str]:
    for mark in (";", ";a=b", "%3b", "%253b"):
        yield from (
            f"/cb/..{mark}/{EVIL}",
            f"/{mark}//{EVIL}",
            f"https://{SITE}/cb/..{mark}/x",
            f"/{mark}@{EVIL}/..//",
        )


def _bare() -> Iterator[str]:
    yield from (
        "",
        EVIL,
        f".{EVIL}",
        f"www.{EVIL}/a",
        f"?//{EVIL}",
        f"#//{EVIL}",
        f"?next=//{EVIL}",
        "a",
        "*",
        "%",
        "%2",
    )
    yield from ("\uff0f\uff0f" + EVIL, "/\uff0f" + EVIL, "\u2044\u2044" + EVIL, "/\ufe68" + EVIL)


def _loops() -> Iterator[str]:
    for page in (
        "login",
        "LOGIN",
        "log-in",
        "signin",
        "sign_in",
        "logout",
        "signout",
        "Sign-Out",
        "callback",
    ):
        yield from (
            f"/{page}",
            f"/{page}/",
            f"/auth/{page}?next=//{EVIL}",
            f"/%{ord(page[0]):02x}{page[1:]}#a",
        )


#: Families of which each value is dropped.
FAMILIES = {
    "authorities": _authorities, "skipped": _skipped, "blanks": _blanks, "encoded": _encoded, "dots": _dots,
    "schemes": _schemes, "userinfo": _userinfo, "hosts": _hosts, "splitting": _splitting,
    "parameters": _parameters, "bare": _bare, "loops": _loops,
}  # fmt: skip


def values(*names: str) -> list[str]:
    """Return each value of some families once."""
    return list(dict.fromkeys(value for name in names for value in FAMILIES[name]()))

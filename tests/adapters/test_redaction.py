"""Log lines and tracebacks without the values of credentials and cookies."""

import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from adapters.faces import ASGI, WSGI, ask_asgi, ask_wsgi
from authguard import (
    AccessCookie,
    APIKey,
    APIKeyVerifier,
    Guard,
    InvalidTokenError,
    JWTVerifier,
    VerificationUnavailableError,
)
from support import SECRET

NOW = 1_800_000_000.0
VALUE = "v4lue-Of_16.char"
BEARER = ("Authorization", b"Bearer a-token-that-is-long-enough")

FACES = [(name, ask_asgi, make) for name, make in ASGI.items()] + [
    (name, ask_wsgi, make) for name, make in WSGI.items()
]

Field = tuple[str, bytes]


@pytest.fixture(name="logged", params=FACES, ids=[face[0] for face in FACES])
def _logged(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Any:
    """Return a function that gives the log line of a request whose verifier raises an error with a text."""
    _, ask, make = request.param
    caplog.set_level(logging.DEBUG, logger="authguard")

    def logged(
        *fields: Field, says: str = "", error: Callable[[str], Exception] = ValueError, **options: Any
    ) -> str:
        class Broken:
            def verify(self, credential: Any) -> Any:
                raise error(f"says: {says}.")

        caplog.clear()
        status = ask(make(Guard(Broken(), **options), lambda: NOW), "GET", "/private", fields).status
        assert status == {ValueError: 500, VerificationUnavailableError: 503}.get(error, 401)  # type: ignore[call-overload]
        (record,) = [record for record in caplog.records if record.name == "authguard"]
        return record.getMessage()

    return logged


@pytest.mark.parametrize(
    "field",
    [
        ("Cookie", b"a=return"),
        ("Cookie", b"return=a"),
        ("Cookie", b"raise=ValueError; File=line; in=self; says=verify"),
        ("Cookie", b"Traceback=recent; most=call; last=error"),
        ("Cookie", b"return"),
        ("Cookie", b'a="return"'),
        ("Cookie", b"; ".join(b"%c=%c" % (letter, letter) for letter in b"abcdefghijklmnopqrstuvwxyz")),
        ("Cookie", b"a=%72%65%74%75%72%6e"),
        ("Cookie", b"Traceback (most recent call last)=1; test_redaction.py=2"),
        ("DPoP", b"return"),
        ("Proxy-Authorization", b"Basic return"),
    ],
    ids=repr,
)
def test_names_and_short_values_blank_nothing(logged: Any, field: Field) -> None:
    """Names and short values of cookies are not redacted in the traceback."""
    for options in ({}, {"cookie": AccessCookie("session", secure=False)}):
        assert logged(BEARER, field, **options) == logged(BEARER)


@pytest.mark.parametrize(
    "field",
    [("Authorization", b"Bearer return"), ("Authorization", b"bearer self"), ("Cookie", b"session=raise")],
    ids=repr,
)
def test_a_short_credential_blanks_nothing(logged: Any, field: Field) -> None:
    """A credential that is shorter than each real one is not redacted."""
    assert logged(field, cookie=AccessCookie("session", secure=False)) == logged(BEARER)


@pytest.mark.parametrize(("length", "shown"), [(15, True), (16, False), (17, False)])
@pytest.mark.parametrize("name", ["Authorization", "Cookie", "Session", "DPoP"])
def test_16_characters_make_a_secret(logged: Any, name: str, length: int, shown: bool) -> None:
    """A value of 15 characters is shown, and one of 16 is redacted."""
    value = "Zq7" * 5 + "Zq"[: length - 15]
    assert len(value) == length
    fields = {
        "Authorization": [("Authorization", f"Bearer {value}".encode())],
        "Cookie": [BEARER, ("Cookie", f"a={value}".encode())],
        "Session": [("Cookie", f"a=1; session={value}".encode())],
        "DPoP": [BEARER, ("DPoP", value.encode())],
    }[name]
    log = logged(*fields, says=value, cookie=AccessCookie("session", secure=False))
    assert f"says: {value if shown else '[redacted]'}." in log


@pytest.mark.parametrize(
    ("cookie", "says"),
    [
        (VALUE.encode(), VALUE),
        (VALUE.encode(), f"{{'a': '{VALUE}'}}"),
        (VALUE.encode(), repr(f"a={VALUE}; b=c".encode())),
        (b'"' + VALUE.encode() + b'"', VALUE),
        (quote("äöü-" + VALUE).encode(), "äöü-" + VALUE),
        (quote("äöü-" + VALUE).encode(), ascii("äöü-" + VALUE)),
        (("äöü-" + VALUE).encode(), "äöü-" + VALUE),
        (("äöü-" + VALUE).encode(), repr(("äöü-" + VALUE).encode())),
        (("äöü-" + VALUE).encode("latin-1"), ascii("äöü-" + VALUE)),
        (f"{VALUE}+/{VALUE}==".encode(), quote(f"{VALUE}+/{VALUE}==", safe="")),
        (quote(json.dumps({"token": VALUE, "b": "c"})).encode(), VALUE),
        (f"b:{VALUE}|c".encode(), VALUE),
        (f"it's \"{VALUE}".encode(), repr(f"it's \"{VALUE}")),
    ],
    ids=repr,
)
def test_a_value_is_hidden_in_each_form_that_an_error_may_show(logged: Any, cookie: bytes, says: str) -> None:
    """A value is redacted as text, bytes or repr, percent-encoded or decoded, and as a part of a value."""
    log = logged(BEARER, ("Cookie", b"a=" + cookie), says=says)
    assert VALUE not in log
    assert "[redacted]" in log


@pytest.mark.parametrize("error", [ValueError, InvalidTokenError, VerificationUnavailableError])
@pytest.mark.parametrize("value", [b"Bearer " + VALUE.encode(), b"BEARER   " + VALUE.encode() + b"=="])
def test_a_token_is_hidden_without_its_scheme(logged: Any, value: bytes, error: Any) -> None:
    """A token is redacted without its scheme in errors, warnings and debug lines."""
    log = logged(("Authorization", value), says=VALUE + "==" * value.endswith(b"="), error=error)
    assert "says: [redacted]." in log


def test_the_longest_value_goes_first(logged: Any) -> None:
    """A value that contains another one is redacted as a whole."""
    log = logged(BEARER, ("Cookie", f"a={VALUE}; b={VALUE}-and-more".encode()), says=f"{VALUE}-and-more")
    assert "says: [redacted]." in log


@pytest.mark.parametrize("error", [ValueError, InvalidTokenError, VerificationUnavailableError])
@pytest.mark.parametrize(
    "cookies",
    [
        [f"c{number}={number:016}" for number in range(3000)],
        [f"c{number}={number:016}" for number in range(201)],
        [f"a={'x' * 70_000}"],
        [f"a={':'.join(f'{number:016}' for number in range(3000))}"],
    ],
    ids=["3000 cookies", "201 cookies", "a long value", "many parts"],
)
def test_a_request_with_too_many_secrets_has_no_traceback(logged: Any, cookies: Any, error: Any) -> None:
    """A request with too many values to search for is logged without a traceback."""
    log = logged(BEARER, ("Cookie", "; ".join(cookies).encode()), says=cookies[-1], error=error)
    assert "left out" in log
    assert not re.search(r"\d{16}|xxxx", log)
    assert "\n  File" not in log


def test_many_cookies_and_a_long_error_are_too_much_together(logged: Any) -> None:
    """Many cookies or a long error alone leave the traceback in the log, and both together remove it."""
    cookies = ("Cookie", "; ".join(f"c{number}={number:016}" for number in range(150)).encode())
    assert "left out" not in logged(BEARER, cookies)
    assert "left out" not in logged(BEARER, says="x" * 100_000)
    assert "ValueError; the traceback is left out" in logged(BEARER, cookies, says="x" * 100_000)


def test_many_short_cookies_are_no_reason_to_leave_anything_out(logged: Any) -> None:
    """Short cookies, however numerous, do not remove the traceback."""
    cookies = "; ".join(f"c{number}={number}" for number in range(3000)).encode()
    assert logged(BEARER, ("Cookie", cookies)) == logged(BEARER)


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJlLW9mLXRva2Vu"
KEY = "sk_live_0123456789abcdefghij"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/socket/{TOKEN}", "/socket/[redacted]"),
        (f"/private;access_token={TOKEN}/x", "/private;access_token=[redacted]/x"),
        (f"/{'a' * 150}/{TOKEN}", f"/{'a' * 150}/[redacted]"),
        (f"/v1/{KEY}/orders", "/v1/[redacted]/orders"),
        (f"/v1/rt_{'Ab-3' * 15}/x", "/v1/[redacted]/x"),
        (f"/v1/clsk_{'Ab_3' * 10}", "/v1/[redacted]"),
        ("/eyJ/test_live/sk_live_/a_test_b", "/eyJ/test_live/sk_live_/a_test_b"),
        ("/rt_short/art_0123456789abcdefgh", "/rt_short/art_0123456789abcdefgh"),
    ],
    ids=["token", "parameter", "cut", "key", "refresh token", "client secret", "neither", "other words"],
)
@pytest.mark.parametrize(("face", "ask", "make"), FACES, ids=[face[0] for face in FACES])
def test_a_credential_in_the_path_is_not_logged(
    face: str, ask: Any, make: Any, path: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A token or key in the path is redacted."""
    caplog.set_level(logging.DEBUG, logger="authguard")
    guard = Guard(JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None))
    assert ask(make(guard, lambda: NOW), "GET", path, []).status == 401
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert repr(shown) in record.getMessage()


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/acme_0123456789abcdef/orders", "/v1/[redacted]/orders"),
        ("/v1/acme_pro_0123456789.abcdef", "/v1/[redacted]"),
        ("/v1/key=acme_0123456789abcdef", "/v1/key=[redacted]"),
        ("/v1/acme_orders/pacme_0123456789abcdef", "/v1/acme_orders/pacme_0123456789abcdef"),
    ],
)
@pytest.mark.parametrize(("face", "ask", "make"), FACES, ids=[face[0] for face in FACES])
def test_a_key_with_a_prefix_of_one_s_own_is_not_logged(
    face: str, ask: Any, make: Any, path: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A key with a configured prefix in the path is redacted, and other words with the prefix are not."""
    caplog.set_level(logging.DEBUG, logger="authguard")
    keys = {"acme_0123456789abcdef": APIKey("bob")}
    guard = Guard(APIKeyVerifier(keys, prefixes=["acme_", "shop_"]))
    assert ask(make(guard, lambda: NOW), "GET", path, []).status == 401
    (record,) = [record for record in caplog.records if record.name == "authguard"]
    assert repr(shown) in record.getMessage()

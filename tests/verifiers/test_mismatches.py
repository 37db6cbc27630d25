"""The warning for an operator about a valid token with another audience or issuer."""

import json
import logging
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from authguard import Credential, IntrospectionVerifier, InvalidTokenError, JWTVerifier, RemoteKeySet
from authguard.verifiers.logout import LogoutTokenVerifier
from remote.world import World, page
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, judge, make_token

OTHER = "https://other.example"


def verifier(**options: Any) -> JWTVerifier:
    given = {"algorithms": ["HS256"], "issuer": ISSUER, "audience": AUDIENCE, **options}
    return JWTVerifier(SECRET, **given)


def refuse(by: Any, token: str) -> None:
    with pytest.raises(InvalidTokenError):
        judge(by, Credential(token, "bearer"), NOW)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("claim", "option", "expected"), [("aud", "audience", AUDIENCE), ("iss", "issuer", ISSUER)]
)
def test_the_line_names_both_values_and_the_option(
    claim: str, option: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the value of the token, the expected one and the option."""
    refuse(verifier(), make_token({**claims(), claim: OTHER}))
    (line,) = warnings(caplog)
    assert f"refused, because it has the {option} {OTHER!r}, and {option}= is {expected!r}" in line


def test_a_value_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Twenty tokens with the same value are one line."""
    by = verifier()
    for number in range(20):
        refuse(by, make_token(claims(aud=OTHER, jti=str(number))))
    assert len(warnings(caplog)) == 1


def test_a_stranger_with_many_valid_tokens_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Only the first three values of each claim are logged."""
    by = verifier()
    for number in range(50):
        refuse(by, make_token(claims(aud=f"https://{number}.example")))
        refuse(by, make_token(claims(iss=f"https://{number}.example")))
    assert len(warnings(caplog)) == 6


@pytest.mark.parametrize("change", [{"aud": OTHER}, {"iss": OTHER}])
def test_a_forged_token_writes_nothing(change: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    """A forged token, whose claims any caller can write, is not logged as a warning."""
    refuse(verifier(), make_token(claims(**change), key="another secret of 32 bytes, at least"))
    assert warnings(caplog) == []


@pytest.mark.parametrize("change", [{"exp": NOW - 3600}, {"sub": None}, {"nbf": NOW + 3600}])
def test_other_refusals_write_nothing(change: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """A refusal that only the caller can correct is not logged as a warning."""
    refuse(verifier(), make_token({**claims(), **change}))
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("audience", "shown"),
    [
        ("a\nWARNING forged", r"'a\nWARNING forged'"),
        ("\x1b[2J\u202eé", r"'\x1b[2J\u202e\xe9'"),
        ("x" * 9_000, "'" + "x" * 100 + "'…"),
        ([OTHER], repr(OTHER)),
        (["a", "b\r"], r"'a' or 'b\r'"),
        ([], "[]"),
        ([str(number) for number in range(9)], "'0' or '1' or '2' or '3' or '4', …"),
        ({"s": 1}, "of the type dict"),
        ([["a"] * 90] * 9, None),
        (None, "None"),
        (7, "of the type int"),
    ],
)
def test_the_values_of_a_token_cannot_forge_a_line(
    audience: Any, shown: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The values in the line are escaped and shortened."""
    refuse(verifier(), make_token({**claims(), "aud": audience}))
    (line,) = warnings(caplog)
    assert line.replace("…", "").isascii() and line.isprintable() and len(line) < 4_000
    assert shown is None or f"has the audience {shown}, and" in line


def test_a_verifier_without_an_audience(caplog: pytest.LogCaptureFixture) -> None:
    """An audience of None is shown as it was given."""
    refuse(verifier(audience=None), make_token(claims(aud=OTHER)))
    (line,) = warnings(caplog)
    assert f"has the audience {OTHER!r}, and audience= is None:" in line


def test_tenants_are_named_by_their_pattern(caplog: pytest.LogCaptureFixture) -> None:
    """The line has the pattern of the issuer, and not its tenants."""
    by = verifier(issuer="https://login.example/{tenantid}/v2.0", tenants=["a", "b"])
    refuse(by, make_token(claims(iss="https://login.example/c/v2.0")))
    assert "issuer= is 'https://login.example/{tenantid}/v2.0'" in caplog.text


def test_an_answer_of_introspection_for_another_audience(caplog: pytest.LogCaptureFixture) -> None:
    """An active introspection answer for another audience is logged."""
    url = "https://issuer.example/introspect"
    by = IntrospectionVerifier(url, audience=AUDIENCE, client_id="api", client_secret="s3cret")
    world = World()
    world.pages[url] = page({"active": True, "sub": "ann", "aud": OTHER})
    with pytest.raises(InvalidTokenError):
        world.run(by.flow(Credential("opaque", "bearer"), NOW))
    (line,) = warnings(caplog)
    assert f"has the audience {OTHER!r}, and audience= is {AUDIENCE!r}" in line


def test_a_logout_token_for_another_client(caplog: pytest.LogCaptureFixture) -> None:
    """A logout token for another client is logged, since the logouts of its issuer have no effect."""
    by = LogoutTokenVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience="our-client")
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    refuse(by, make_token(claims(aud="other", events=event), typ="logout+jwt"))
    assert "has the audience 'other', and audience= is 'our-client'" in caplog.text


def of_two(*, first: Any = SECRET, second: Any = SECRET, algorithms: Any = ("HS256",)) -> Any:
    """Return the verifier that a guard makes of two issuers."""
    options: dict[str, Any] = {"algorithms": algorithms, "audience": AUDIENCE}
    (both,) = JWTVerifier.together(
        [
            JWTVerifier(first, issuer="https://one.example", **options),
            JWTVerifier(second, issuer="https://two.example", **options),
        ]
    )
    return both


def test_an_issuer_of_none_of_several_verifiers(caplog: pytest.LogCaptureFixture) -> None:
    """The verifier with the key of the token names its option, and the other one does not."""
    by = of_two(second="another secret of 32 bytes, at least")
    refuse(by, make_token(claims(iss="https://one.example/")))
    (line,) = warnings(caplog)
    assert "has the issuer 'https://one.example/', and issuer= is 'https://one.example'" in line


def test_a_forged_token_of_another_issuer_writes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A forged token with an unknown issuer or another algorithm is not logged as a warning."""
    by = of_two()
    refuse(by, make_token(claims(iss=OTHER), key="another secret of 32 bytes, at least"))
    refuse(of_two(), make_token(claims(iss=OTHER), algorithm="HS512"))
    assert warnings(caplog) == []


def test_signatures_for_the_log_alone_are_verified_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    """A signature that is verified only for the log is verified at most once a second."""
    by = of_two()
    for moment, lines in ((NOW, 1), (NOW + 0.9, 1), (NOW + 1, 2)):
        with pytest.raises(InvalidTokenError):
            judge(by, Credential(make_token(claims(iss=f"https://{moment}.example")), "bearer"), moment)
        assert len(warnings(caplog)) == lines


def test_no_keys_are_fetched_for_a_stranger(caplog: pytest.LogCaptureFixture) -> None:
    """A token with an issuer that no verifier accepts causes no request for keys."""
    keys = RemoteKeySet("https://issuer.example/keys")
    by = of_two(first=keys, second=keys, algorithms=["ES256"])
    header = urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": "a"}).encode()).decode().rstrip("=")
    body = urlsafe_b64encode(json.dumps(claims(iss=OTHER)).encode()).decode().rstrip("=")
    world = World()
    with pytest.raises(InvalidTokenError):
        world.run(by.flow(Credential(f"{header}.{body}.{'A' * 86}", "bearer"), NOW))
    assert world.calls == [] and warnings(caplog) == []

"""The options of a JWTVerifier, and the principal that it makes of a token."""

import json
import os
import subprocess
import sys

import pytest

from authguard import (
    ConfigurationError,
    Credential,
    Guard,
    InvalidTokenError,
    JWTVerifier,
    RemoteKeySet,
    TokenIssuer,
)
from authguard._core.answer.decision import Allow
from authguard.drivers import run
from support import (
    AUDIENCE,
    ISSUER,
    NOW,
    SECRET,
    bearer,
    claims,
    judge,
    jwk,
    make_token,
    make_token_of_parts,
    pem,
    rsa_key,
)


def build(keys=SECRET, algorithms=("HS256",), **options):
    return JWTVerifier(keys, algorithms=algorithms, **{"issuer": ISSUER, "audience": AUDIENCE, **options})


def verify(verifier, token, now=NOW):
    return judge(verifier, Credential(token, "bearer"), now)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"leeway": 301}, "between 0 and 300"),
        ({"leeway": True}, "between 0 and 300"),
        ({"leeway": float("nan")}, "between 0 and 300"),
        ({"audience": []}, "audience must name at least one"),
        ({"audience": [""]}, "audience must be text"),
        ({"issuer": ""}, "issuer must be text"),
        ({"issuer": 5}, "issuer must be text"),
        ({"token_types": []}, "token_types must name one"),
        ({"token_types": "JWT"}, "token_types must be a list"),
        ({"required_claims": "exp"}, "required_claims must be a list"),
        ({"scope_claims": "scope"}, "scope_claims must be a list"),
        ({"role_claims": "roles"}, "role_claims must be a list"),
        ({"keys": "missing.pem"}, "must be in a readable file"),
    ],
    ids=str,
)
def test_a_mistake_is_named_when_it_is_built(options, says):
    """Invalid options are errors with advice."""
    with pytest.raises(ConfigurationError, match=says):
        build(**options)


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "path"])
def test_keys_from_a_file(tmp_path, as_text):
    """Keys may be given as a path, or as the text of one, alone or in a list."""
    path = tmp_path / "keys.jwks"
    path.write_text(json.dumps({"keys": [jwk(rsa_key(), kid="a")]}) + "\n")
    source = str(path) if as_text else path
    token = make_token(algorithm="RS256", key=rsa_key(), kid="a")
    for keys in (source, [source]):
        principal = verify(build(keys, ["RS256"]), token).principal
        assert (principal.subject, principal.key_id) == ("ann", "a")


@pytest.mark.slow
def test_a_key_file_is_utf_8_whatever_the_locale_says(tmp_path):
    """A secret in a file is the same in each locale."""
    path = tmp_path / "secret.key"
    path.write_text(f"{SECRET}é", encoding="utf-8")
    program = (
        "import pathlib, sys; from authguard import JWTVerifier; file = pathlib.Path(sys.argv[1]); "
        "JWTVerifier(file, algorithms=['HS256'], issuer='https://issuer.example', audience='a')"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-X", "utf8=0", "-c", program, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_token_is_remembered_until_it_expires():
    """A token is remembered until it expires with the leeway, and one without `exp` for an hour."""
    assert verify(build(), make_token()).until == NOW + 630
    forever = build(required_claims=["sub"])
    assert verify(forever, make_token(claims(exp=...))).until == NOW + 3600


@pytest.mark.parametrize(
    ("name", "least", "most"), [("exp", -29, None), ("nbf", None, 30), ("iat", None, 30)]
)
def test_the_leeway_has_an_edge(name, least, most):
    """A token is valid in the last second of the leeway, and not in the next one."""
    edge, out = (least, least - 1) if least is not None else (most, most + 1)
    assert verify(build(), make_token(claims(**{name: NOW + edge})))
    with pytest.raises(InvalidTokenError):
        verify(build(), make_token(claims(**{name: NOW + out})))


def test_several_audiences():
    """One configured audience among several of the token is enough."""
    verifier = build(audience=["https://a.example", AUDIENCE])
    assert verify(verifier, make_token(claims(aud=["https://x.example", AUDIENCE])))
    with pytest.raises(InvalidTokenError):
        verify(verifier, make_token(claims(aud=["https://x.example"])))


def test_no_audience_takes_only_tokens_without():
    """A verifier without an audience refuses a token with one."""
    assert verify(build(audience=None), make_token(claims(aud=...)))
    with pytest.raises(InvalidTokenError):
        verify(build(audience=None), make_token())


@pytest.mark.parametrize(
    ("extra", "scopes", "roles"),
    [
        ({"scope": "a b  c"}, {"a", "b", "c"}, set()),
        ({"scope": ["a b", "c", 5]}, {"a b", "c"}, set()),
        ({"scope": {"a": 1}}, set(), set()),
        ({"realm_access": {"roles": ["x", "y"]}}, set(), {"x", "y"}),
        ({"realm_access": "x"}, set(), set()),
        ({"https://e.example/roles": "x y"}, set(), {"x y"}),
        ({"roles": ["admin"], "is_admin": True, "scp": "a"}, set(), set()),
    ],
    ids=["text", "list", "object", "nested", "not nested", "a name with dots", "not configured"],
)
def test_scopes_and_roles_from_configured_claims(extra, scopes, roles):
    """Only configured claims grant scopes and roles."""
    verifier = build(role_claims=["realm_access.roles", "https://e.example/roles"])
    principal = verify(verifier, make_token(claims(**extra))).principal
    assert (principal.scopes, principal.roles) == (scopes, roles)


def test_the_principal_of_a_token():
    """The principal has the issuer, the client, the token id, the claims and the expiry."""
    principal = verify(build(), make_token(claims(jti="t1", client_id="app", email="a@b.c"))).principal
    assert (principal.issuer, principal.client_id, principal.token_id) == (ISSUER, "app", "t1")
    assert principal.claims["email"] == "a@b.c"
    assert principal.expires_at == NOW + 600


def test_a_client_is_the_subject_of_a_token_without_sub():
    """The client is the subject if `sub` is not required, and a token without both is refused."""
    verifier = build(required_claims=["exp"])
    assert verify(verifier, make_token(claims(sub=..., azp="app"))).principal.subject == "client:app"
    with pytest.raises(InvalidTokenError):
        verify(verifier, make_token(claims(sub=...)))


def test_the_profile_of_rfc_9068():
    """A verifier with one token type refuses a token without a type."""
    verifier = build(token_types=["at+jwt"])
    assert verify(verifier, make_token(typ="application/AT+JWT"))
    with pytest.raises(InvalidTokenError):
        verify(verifier, make_token())


@pytest.mark.parametrize(
    ("extra", "passes"),
    [
        ({"token_use": "access"}, True),
        ({"token_type": "Bearer"}, True),
        ({"type": "customer"}, True),
        ({"type": 5}, True),
        ({"token_use": "id"}, False),
        ({"token_type": "refresh"}, False),
        ({"token_type": 5}, True),
        ({"type": "refresh"}, False),
        ({"typ": "ID"}, False),
        ({"at_hash": "x"}, False),
        ({"events": {}}, False),
    ],
    ids=str,
)
def test_kinds_of_tokens_told_by_their_claims(extra, passes):
    """Refresh, ID and event tokens are refused by their claims."""
    token = make_token(claims(**extra))
    if passes:
        assert verify(build(), token)
    else:
        with pytest.raises(InvalidTokenError):
            verify(build(), token)


OTHER = "https://other.example"
OTHER_SECRET = "Zr7Pq1Wm4Xc9Tn2Yv6Lk8Jh3Gf5DsBa0eUoIiE"


def several():
    """Return a guard for two issuers, of which one has two algorithms."""
    return Guard(
        build(),
        build(pem(rsa_key()), ["RS256"]),
        build(OTHER_SECRET, issuer=OTHER),
    )


def test_the_issuer_chooses_the_keys():
    """Each token is verified by the keys of its issuer, and not by those of another one."""
    guard = several()
    good = [
        make_token(),
        make_token(algorithm="RS256", key=rsa_key()),
        make_token(claims(iss=OTHER), key=OTHER_SECRET),
    ]
    bad = [
        make_token(key=OTHER_SECRET),
        make_token(claims(iss=OTHER)),
        make_token(claims(iss=OTHER), algorithm="RS256", key=rsa_key()),
        make_token(claims(iss="https://nobody.example")),
        make_token(claims(iss=["x"])),
        make_token(claims(iss=...)),
    ]
    allowed = [isinstance(run(guard.decide(bearer(token), NOW)), Allow) for token in good + bad]
    assert allowed == [True] * len(good) + [False] * len(bad)
    assert ISSUER in repr(guard)
    assert OTHER in repr(guard)


@pytest.mark.parametrize("order", [1, -1])
def test_one_verifier_without_an_issuer_takes_the_tokens_of_all_others(order):
    """A verifier without an issuer accepts tokens without `iss` and of issuers without a verifier."""
    guard = Guard(*[build(), build(OTHER_SECRET, issuer=None)][::order])
    good = [
        make_token(),
        make_token(claims(iss=...), key=OTHER_SECRET),
        make_token(claims(iss=OTHER), key=OTHER_SECRET),
    ]
    bad = [
        make_token(key=OTHER_SECRET),
        make_token(claims(iss=...)),
        make_token(claims(iss=OTHER)),
        make_token(claims(iss=["x"]), key=OTHER_SECRET),
        make_token(claims(iss=7), key=OTHER_SECRET),
    ]
    allowed = [isinstance(run(guard.decide(bearer(token), NOW)), Allow) for token in good + bad]
    assert allowed == [True] * len(good) + [False] * len(bad)


def test_several_verifiers_that_cannot_be_told_apart():
    """Two verifiers without an issuer, or with one issuer and one algorithm, are refused."""
    for other in (None, lambda issuer: True):
        with pytest.raises(ConfigurationError, match="issuer must be None or a function of one JWTVerifier"):
            Guard(build(issuer=other), build(OTHER_SECRET, issuer=None))
    with pytest.raises(ConfigurationError, match=r"got two for .*: give one of them all the keys"):
        Guard(build(), build(OTHER_SECRET))


def test_a_long_header_is_read_each_time():
    """A long header, which is not remembered, gives the same principal each time."""
    token = make_token(padding="x" * 600)
    assert verify(build(), token).principal == verify(build(), token).principal


def test_a_named_key_is_for_its_algorithm_alone():
    """The key of a kid does not verify a token of another algorithm of its family."""
    verifier = build({"keys": [jwk(rsa_key(), kid="a", alg="RS256")]}, ["RS256", "RS384"])
    assert verify(verifier, make_token(algorithm="RS256", key=rsa_key(), kid="a"))
    for kid in ({"kid": "a"}, {}):
        for signed_with in ("RS256", "RS384"):
            with pytest.raises(InvalidTokenError):
                verify(verifier, make_token(algorithm="RS384", signed_with=signed_with, key=rsa_key(), **kid))


@pytest.mark.parametrize("padding", ["", "x", "xx"], ids=len)
def test_a_token_has_one_spelling(padding):
    """A part of a token whose last character has bits that are not zero is refused."""
    for part in range(3):
        parts = make_token(claims(pad=padding), pad=padding).split(".")
        if len(parts[part]) % 4 == 0:
            continue
        last = parts[part][-1]
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        twin = alphabet[alphabet.index(last) + 1]
        parts[part] = parts[part][:-1] + twin
        text = make_token_of_parts(*parts[:2]) if part < 2 else ".".join(parts)
        with pytest.raises(InvalidTokenError, match="canonical"):
            verify(build(), text)


@pytest.mark.parametrize("keys", [RemoteKeySet, [RemoteKeySet("https://keys.example")], [[RemoteKeySet]]])
def test_a_remote_key_set_stands_alone(keys):
    """A list with a remote key set is an error that advises one verifier for each."""
    with pytest.raises(ConfigurationError, match=r'JWTVerifier\(RemoteKeySet\("https://…"\), …\) for each'):
        JWTVerifier(keys, algorithms=["ES256"], issuer=ISSUER, audience=AUDIENCE)


@pytest.mark.parametrize("text", ["{}\n", " {}", "{}\r\n", "\t{}"])
@pytest.mark.parametrize("option", ["issuer", "audience"])
def test_white_space_around_an_issuer_or_audience_is_refused(option, text):
    """The error for white space, as of a line break in a file, shows the value without it."""
    value = {"issuer": ISSUER, "audience": AUDIENCE}[option]
    for given in (text.format(value), [text.format(value)]):
        if option == "audience" or isinstance(given, str):
            with pytest.raises(ConfigurationError, match=f"{option} must be without white .* '{value}'"):
                build(**{option: given})
    with pytest.raises(ConfigurationError, match=f"{option} must be without white space"):
        TokenIssuer(SECRET, **{"issuer": ISSUER, "audience": AUDIENCE, option: text.format(value)})


@pytest.mark.parametrize(
    ("required", "added"),
    [(["tenant"], ["exp", "sub", "tenant"]), (("sub", "email"), ["exp", "sub", "email"])],
)
def test_a_list_of_claims_that_has_lost_exp_is_warned_of(required, added, caplog):
    """A list without `exp` is warned of, since tokens without `exp` would not expire."""
    build(required_claims=required)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith(
        f"got {list(required)}, which replaces the default: write required_claims={added}"
    )


@pytest.mark.parametrize("required", [["sub"], [], ["exp"], ["exp", "tenant"]])
def test_no_warning_of_a_list_of_claims_on_purpose(required, caplog):
    """A list with `exp` or without other claims is not warned of."""
    build(required_claims=required)
    assert caplog.records == []


@pytest.mark.parametrize("given", ["x", None, 5, b"{}", ["sub"]])
def test_claims_that_are_not_a_mapping_are_refused(given):
    """`unusable_claims` takes the claims of a token."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    with pytest.raises(ConfigurationError, match=r"^claims must be a mapping, got .*: write user\.claims"):
        verifier.unusable_claims(given)
    assert verifier.unusable_claims({"sub": "ada"}) == []

"""`token inspect` names each reason of a refusal, and never writes the token."""

import base64
import contextlib
import json
import os
import subprocess
import time

import pytest

from authguard.testing import issue_token
from cli.support import AUDIENCE, COMMAND, ISSUER, SECRET, environment, invoke, run
from remote.servers import answer, serving
from support import LONG_AFTER, ec_key, jwk, make_token, pem, rsa_key, sign

EXPECT = ("--secret-env", "THE_SECRET", "--issuer", ISSUER, "--audience", AUDIENCE)


def good(**changes):
    """Return a token that the options of EXPECT accept, unless changes are given."""
    given = {"iss": ISSUER, "aud": AUDIENCE} | changes
    key = given.pop("key", SECRET)
    return issue_token(key, **{name: value for name, value in given.items() if value is not ...})


def inspect(token, *options, **variables):
    """Return the exit status and the JSON of an inspection, whose output must not have the token."""
    variables = {"THE_SECRET": SECRET} | variables
    done = invoke("token", "inspect", *(options or EXPECT), "--json", given=token, **variables)
    plain = invoke("token", "inspect", *(options or EXPECT), "--claims", given=token, **variables)
    assert (plain.exit_code, done.stderr, plain.stderr) == (done.exit_code, "", "")
    check_hidden(token, done.stdout + plain.stdout)
    return done.exit_code, json.loads(done.stdout)


def check_hidden(token, written):
    """Check that neither a part of the token nor the secret is in the output."""
    parts = [part for part in token.split() for part in part.split(".") if len(part) > 6]
    assert not [part for part in parts if part in written and part.lower() != "bearer"]
    assert SECRET not in written


def test_good_token_is_accepted():
    """A valid token has exit status 0, its registered claims and the names of the others."""
    status, result = inspect(good(password="M4RKER", scope="read"))
    assert (status, result["verdict"], result["signature_verified"]) == (0, "accepted", True)
    assert result["claims"]["iss"] == ISSUER and result["header"]["alg"] == "HS256"
    assert set(result["other_claims"]) == {"password", "scope"}


def test_how_and_when_somebody_has_signed_in_is_shown():
    """`acr` and `auth_time` are shown, the latter also as a date."""
    _, result = inspect(good(acr="phr", auth_time=1_700_000_000))
    assert (result["claims"]["acr"], result["claims"]["auth_time"]) == ("phr", 1_700_000_000)
    assert result["times"]["auth_time"].startswith("2023-11-14")


@pytest.mark.parametrize(
    ("token", "code", "words"),
    [
        (lambda: good(expires_in=-3600), "expired", "1 hour ago"),
        (lambda: good(nbf=int(time.time()) + 7300), "not_yet_valid", "in 2 hours"),
        (lambda: good(iat=int(time.time()) + 7300), "not_yet_valid", "from the future"),
        (lambda: good(aud="https://other.example"), "audience", '"https://other.example", expected'),
        (lambda: good(aud=["a", "b"]), "audience", '["a", "b"]'),
        (lambda: good(aud=...), "audience", "has no aud"),
        (lambda: good(iss=ISSUER + "/"), "issuer", f'"{ISSUER}/", expected "{ISSUER}"'),
        (lambda: good(sub=None), "claim", "no sub"),
        (lambda: good(exp="soon"), "malformed", "exp is not a date"),
        (lambda: good(exp=int(time.time() * 1000) + 60_000), "malformed", "seems to be in milliseconds"),
        (lambda: good(iat=int(time.time() * 1000)), "malformed", "iat is not a date in seconds"),
        (lambda: good(key=SECRET[::-1]), "signature", "another key"),
        (lambda: good(algorithm="HS512", key=SECRET * 2), "algorithm", '"HS512" is not allowed here'),
        (lambda: make_token(algorithm="none"), "malformed", "no signature"),
        (lambda: good(token_type="refresh"), "kind", 'token_type is "refresh"'),
        (lambda: good(at_hash="x"), "kind", "at_hash"),
        (lambda: good(headers={"typ": "secevent+jwt"}), "kind", '"secevent+jwt"'),
        (lambda: good(cnf={"jkt": "x"}), "unproven", "cnf"),
        (lambda: good(headers={"crit": ["exp"]}), "malformed", "crit"),
        (lambda: good() + "=", "malformed", "not base64url"),
        (lambda: good()[:-9] + " " + good()[-9:], "malformed", "white space"),
        (lambda: f'"{good()}"', "malformed", "quotes"),
        (lambda: "", "malformed", "no token"),
        (lambda: "eyJhbGciOiJIUzI1NiJ9", "malformed", "three parts"),
        (lambda: "a.b.c.d.e", "kind", "JWE"),
        (lambda: "rt_AorTGYsAD0JslaLlFtv7H5AAAA", "kind", "refresh token"),
        (lambda: "sk_live_AorTGYsAD0JslaLlFtv7", "kind", "API key"),
        (lambda: "x" * 17_000, "malformed", "16384"),
        (lambda: "\x1b[31m.é.\x00", "malformed", "base64url"),
    ],
)
def test_each_reason_is_named(token, code, words):
    """Each refusal has a code, a reason and advice, and exit status 1."""
    status, result = inspect(token())
    assert (status, result["verdict"], result["code"]) == (1, "refused", code)
    assert words in result["reason"]
    assert result["advice"]


@pytest.mark.parametrize(
    "before",
    ["Bearer ", "bearer  ", "Bearer: ", "Authorization: Bearer ", "authorization:Bearer ", "Authorization: "],
)
def test_field_and_scheme_in_front_are_left_out(before):
    """A token that was copied with its field or its scheme is accepted."""
    assert inspect(f"{before}{good()}\n")[0] == 0


@pytest.mark.parametrize("claims", [{}, {"iss": ...}])
def test_issuer_is_any_unless_it_is_named(claims):
    """Without `--issuer` a token of any issuer is accepted."""
    options = ("--secret-env", "THE_SECRET", "--audience", AUDIENCE)
    assert inspect(good(**claims), *options)[0] == 0


def test_audience_that_nobody_expects_is_refused():
    """Without `--audience` a token with an `aud` is refused, as by the verifier."""
    status, result = inspect(good(), "--secret-env", "THE_SECRET")
    assert (status, result["code"]) == (1, "audience")
    assert "expected none" in result["reason"]


def test_without_key_nothing_is_verified():
    """Without a key the token is shown as not verified, with exit status 2."""
    done = invoke("token", "inspect", "--json", given=good(key="F0rged-" + SECRET))
    document = json.loads(done.stdout)
    assert (done.exit_code, document["verdict"], document["signature_verified"]) == (2, "not verified", False)
    plain = invoke("token", "inspect", given=good())
    assert plain.stdout.startswith("not verified: no key was given")
    assert "claims, not verified" in plain.stdout


def test_claims_are_shown_by_name_only():
    """Other claims are shown by name, and with `--claims` by value."""
    token = good(email="M4RKER@example.com")
    hidden = invoke("token", "inspect", *EXPECT, given=token, THE_SECRET=SECRET).stdout
    shown = invoke("token", "inspect", *EXPECT, "--claims", given=token, THE_SECRET=SECRET).stdout
    assert "email" in hidden and "M4RKER" not in hidden
    assert "M4RKER@example.com" in shown


def test_no_control_sequence_reaches_the_terminal():
    """Control characters of a token are written in no form of the output."""
    evil = "\x1b]0;owned\x07\n\x9b31m"
    token = good(sub=evil, iss=evil, aud=[evil], jti=evil, headers={"kid": evil, "typ": evil}, **{evil: evil})
    for options in ((), ("--claims",), ("--json", "--claims")):
        out = invoke("token", "inspect", *EXPECT, *options, given=token, THE_SECRET=SECRET).stdout
        assert [character for character in out if not character.isprintable() and character != "\n"] == []


@pytest.mark.parametrize("exp", [True, -1, 1e300, None, [], "x", 253_402_300_800])
def test_dates_that_are_none_are_no_crash(exp):
    """A date that cannot be shown is a refusal, not an error of the command."""
    token = make_token({"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": exp}, key=SECRET)
    assert inspect(token)[1]["code"] in ("malformed", "claim")


def test_unknown_kid_is_named(tmp_path):
    """A token with an unknown `kid`, or without one among several keys, is refused with that reason."""
    path = tmp_path / "keys.json"
    keys = [jwk(ec_key(), kid="a", alg="ES256"), jwk(rsa_key(), kid="b", alg="RS256")]
    path.write_text(json.dumps({"keys": keys}))
    options = ("--keys", str(path), "--audience", AUDIENCE)
    accepted = good(key=ec_key(), algorithm="ES256", headers={"kid": "a"})
    unknown = good(key=ec_key(), algorithm="ES256", headers={"kid": "new"})
    assert inspect(accepted, *options)[0] == 0
    status, result = inspect(unknown, *options)
    assert (status, result["code"]) == (1, "kid")
    assert '"new"' in result["reason"]


def test_pem_and_files_are_read(tmp_path):
    """A public key is read from PEM, and the token from a file."""
    key, token = tmp_path / "key", tmp_path / "token"
    key.write_text(pem(ec_key()))
    token.write_text(good(key=ec_key(), algorithm="ES256"))
    done = invoke("token", "inspect", "--key", str(key), "--audience", AUDIENCE, "--file", str(token))
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "accepted")


@pytest.mark.slow
def test_keys_are_fetched_and_discovered():
    """A key set is fetched by its URL, or found by the metadata of its issuer."""
    with serving() as issuer:
        issuer.pages = {
            "/.well-known/openid-configuration": answer(
                {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/jwks"}
            ),
            "/jwks": answer({"keys": [jwk(ec_key(), kid="a", alg="ES256")]}),
        }
        token = good(key=ec_key(), algorithm="ES256", headers={"kid": "a"}, iss=issuer.url)
        fetched = inspect(token, "--key", f"{issuer.url}/jwks", "--audience", AUDIENCE)
        discovered = inspect(token, "--discover", issuer.url, "--audience", AUDIENCE)
        other = good(key=ec_key(), algorithm="ES256", headers={"kid": "b"}, iss=issuer.url)
        unknown = inspect(other, "--discover", issuer.url, "--audience", AUDIENCE)
    assert (fetched[0], discovered[0]) == (0, 0)
    assert (unknown[0], unknown[1]["code"]) == (1, "kid")


@pytest.mark.slow
def test_issuer_that_is_down_is_no_verdict():
    """If keys cannot be fetched, the verdict is "unknown", with exit status 1."""
    token = good(key=ec_key(), algorithm="ES256")
    done = run("token", "inspect", "--key", "http://127.0.0.1:9/jwks", "--json", given=token)
    assert (done.returncode, json.loads(done.stdout)["verdict"], done.stderr) == (1, "unknown", "")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--key", "a", "--secret-env", "B"), "give one of"),
        (("--discover", ISSUER, "--issuer", ISSUER), "leave out --issuer"),
        (("--secret-env", "THE_SECRET", "--database", "sqlite:///a.db"), "for the service"),
        (("--audience", AUDIENCE), "go with a key"),
        (("--key", "/no/such/file"), "cannot read"),
        (("--secret-env", "NOT_SET"), "not set"),
        (("--key", "http://example.com/jwks"), "plain http"),
        (("--secret-env", "THE_SECRET", "--algorithm", "none"), "got unknown or unsafe"),
        (("--secret-env", "THE_SECRET", "--algorithm", "HS256", "--algorithm", "RS256"), "HMAC"),
    ],
)
def test_what_cannot_be_meant_is_one_line(options, words):
    """Options that contradict each other end the command with 2 and one line."""
    done = invoke("token", "inspect", *options, given=good(), THE_SECRET=SECRET)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert words in done.stderr and SECRET not in done.stderr


def test_token_is_no_argument():
    """A token as an argument is refused, because other users can read it, and is not repeated."""
    token = good()
    done = invoke("token", "inspect", *EXPECT, token, THE_SECRET=SECRET)
    assert (done.exit_code, done.stdout) == (2, "")
    check_hidden(token, done.stderr)


def test_private_key_is_not_for_verifying(tmp_path):
    """A private key is refused, and nothing of it is shown."""
    path = str(tmp_path / "key.pem")
    invoke("keys", "generate", "-o", path)
    done = invoke("token", "inspect", "--key", path, given=good())
    assert (done.exit_code, "private key" in done.stderr, "BEGIN" in done.stderr) == (2, True, False)


@pytest.mark.slow
def test_terminal_is_asked_and_shows_nothing():
    """On a terminal the token is prompted for, and is not shown."""
    token, written = good(), b""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [COMMAND, "token", "inspect", *EXPECT], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, env=environment(THE_SECRET=SECRET, TERM="xterm"),
    )  # fmt: skip
    os.close(theirs)
    try:
        while b"Token: " not in written:
            written += os.read(ours, 1024)
        # The last character of the prompt is written after the terminal has switched its echo off.
        os.write(ours, token.encode() + b"\n")
        with contextlib.suppress(OSError):  # Linux raises it at the end
            while data := os.read(ours, 1024):
                written += data
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    check_hidden(token, written.decode())
    assert "\x1b[32m" in written.decode() and "accepted" in written.decode()


@pytest.mark.slow
def test_token_without_kid_among_several_keys(tmp_path):
    """A token without a `kid` is refused if two keys have its algorithm."""
    path = tmp_path / "keys.json"
    keys = [jwk(rsa_key(2048), kid="a", alg="RS256"), jwk(rsa_key(3072), kid="b", alg="RS256")]
    path.write_text(json.dumps({"keys": keys}))
    status, result = inspect(good(key=rsa_key(), algorithm="RS256"), "--key", str(path))
    assert (status, result["code"]) == (1, "kid")
    assert "names no key" in result["reason"]


def test_claims_that_are_no_json_are_refused():
    """A token whose claims are no JSON is refused, and its header is shown."""
    status, result = inspect(make_token(b"{", key=SECRET))
    assert (status, result["code"], result["claims"]) == (1, "malformed", {})
    assert result["header"]["alg"] == "HS256"


@pytest.mark.parametrize(
    "text", ["{ not json", '{"keys": []}', '{"keys": 1}', '{"kty": "oct", "k": "M4RKER"}']
)
def test_file_without_a_usable_key_is_one_line(tmp_path, text):
    """A file without a usable key ends the command with 2 and one line."""
    path = tmp_path / "keys.json"
    path.write_text(text)
    done = invoke("token", "inspect", "--key", str(path), given=good())
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "M4RKER" not in done.stderr


def padded_token():
    """Return a token whose parts have padding, as AWS load balancers write it."""
    parts = [{"alg": "ES256", "typ": "JWT"}, {"sub": "annie", "iss": ISSUER, "exp": LONG_AFTER}]
    signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    signature = sign(signed.encode(), "ES256", ec_key())
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode()}"


def test_padding_is_named_and_may_be_allowed(tmp_path):
    """A padded token is refused with advice, and accepted with `--padding`."""
    path = tmp_path / "key.pem"
    path.write_text(pem(ec_key()))
    options = ("--key", str(path), "--issuer", ISSUER)
    status, result = inspect(padded_token(), *options)
    assert (status, result["code"]) == (1, "malformed")
    assert "padding=True" in result["advice"]
    status, result = inspect(padded_token(), *options, "--padding")
    assert (status, result["verdict"], result["claims"]["sub"]) == (0, "accepted", "annie")

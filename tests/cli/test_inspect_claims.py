"""`token inspect` with options for required claims and for the caller."""

import pytest

from cli.support import AUDIENCE, ISSUER, SECRET, invoke
from cli.test_token_inspect import EXPECT, good, inspect

TENANTS = f"{ISSUER}/{{tenantid}}/v2.0"


def test_the_caller_is_shown_as_an_application_sees_it():
    """The caller of an accepted token is shown with subject, client, scopes and roles."""
    token = good(scope="write read", realm_access={"roles": ["b", "a"]}, azp="web", upn="ann@x.example")
    options = ("--role-claim", "realm_access.roles", "--subject-claim", "upn", "--subject-claim", "sub")
    _, result = inspect(token, *EXPECT, *options)
    assert result["caller"] == {
        "subject": "ann@x.example", "client_id": "web", "scopes": ["read", "write"], "roles": ["a", "b"],
    }  # fmt: skip
    plain = invoke("token", "inspect", *EXPECT, *options, given=token, THE_SECRET=SECRET).stdout
    assert "read, write" in plain
    assert "a, b" in plain


def test_no_caller_is_shown_of_a_bad_token():
    """No caller is shown for an invalid token."""
    _, result = inspect(good(exp=5), *EXPECT)
    assert (result["caller"], result["unusable_claims"]) == (None, [])


def test_a_claim_that_grants_nothing_is_named():
    """A claim that cannot grant scopes or roles is shown with the reason."""
    token = good(realm_access={"roles": ["a"]}, groups=5)
    options = ("--role-claim", "realm_access", "--role-claim", "groups")
    _, result = inspect(token, *EXPECT, *options)
    assert [words.split(" ")[0] for words in result["unusable_claims"]] == ["realm_access", "groups"]
    plain = invoke("token", "inspect", *EXPECT, *options, given=token, THE_SECRET=SECRET).stdout
    assert "groups is a number: it grants no scopes or roles" in plain


REFUSED = [
    ("--expect-claim", "org=acme", {"org": "evil"}, 'it is "evil"'),
    ("--expect-claim", "org=acme", {}, "is not there"),
    ("--expect-claim", "level=2", {"level": 2}, "it is 2"),
    ("--expect-claim", "level:=2", {"level": "2"}, 'it is "2"'),
    ("--expect-claim", "verified:=true", {"verified": 1}, "it is 1"),
    ("--client-id", "web", {"azp": "evil"}, "client_ids"),
    ("--client-id", "web", {}, "client_ids"),
    ("--expect-header", "signer=a", {}, "signer is not there"),
    ("--subject-claim", "upn", {}, "none of subject_claims"),
]


@pytest.mark.parametrize(("option", "value", "changes", "words"), REFUSED)
def test_what_is_missing_is_said(option, value, changes, words):
    """A missing or different claim is a refusal with the value of the token."""
    status, result = inspect(good(**changes), *EXPECT, option, value)
    assert (status, result["code"]) == (1, "claim")
    assert words in result["reason"]
    assert result["signature_verified"]


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        (("--expect-claim", "org=acme"), {"org": "acme"}),
        (("--expect-claim", "org=a", "--expect-claim", "org=b"), {"org": "b"}),
        (("--expect-claim", "q=a=b"), {"q": "a=b"}),
        (("--expect-claim", "level:=2"), {"level": 2}),
        (("--client-id", "a", "--client-id", "web"), {"azp": "web"}),
    ],
)
def test_what_is_there_is_accepted(options, changes):
    """A token with one of several expected values is accepted."""
    status, result = inspect(good(**changes), *EXPECT, *options)
    assert (status, result["verdict"]) == (0, "accepted")


def test_tenants_of_an_issuer():
    """A token of a tenant that is not listed is refused, and the pattern of the issuer is shown."""
    options = ("--secret-env", "THE_SECRET", "--issuer", TENANTS, "--audience", AUDIENCE, "--tenant", "a")
    assert inspect(good(iss=f"{ISSUER}/a/v2.0"), *options)[0] == 0
    status, result = inspect(good(iss=f"{ISSUER}/b/v2.0"), *options)
    assert (status, result["code"]) == (1, "issuer")
    assert "{tenantid}" in result["reason"]


@pytest.mark.parametrize(
    "options",
    [
        ("--expect-claim", "org"), ("--expect-claim", "=acme"), ("--expect-claim", ":=1"),
        ("--expect-claim", "level:=x"), ("--expect-claim", "org:=null"), ("--expect-claim", "iss=x"),
        ("--expect-header", "alg=HS256"), ("--tenant", "a"), ("--subject-claim", ""), ("--client-id", ""),
    ],
    ids=" ".join,
)  # fmt: skip
def test_options_that_cannot_be_meant_are_misuse(options):
    """Invalid options end the command with 2, and the token is not shown."""
    token = good()
    done = invoke("token", "inspect", *EXPECT, *options, given=token, THE_SECRET=SECRET)
    assert done.exit_code == 2
    assert token not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "option", ["--tenant", "--client-id", "--expect-claim", "--subject-claim", "--role-claim"]
)
def test_options_of_claims_go_with_a_key(option):
    """An option for claims without a key ends the command with 2."""
    assert invoke("token", "inspect", option, "a=b", given=good()).exit_code == 2


def test_tenants_do_not_go_with_one_issuer():
    """`--tenant` with `--discover` ends the command with 2, because metadata belong to one issuer."""
    done = invoke("token", "inspect", "--discover", "https://issuer.example", "--tenant", "a", given=good())
    assert done.exit_code == 2

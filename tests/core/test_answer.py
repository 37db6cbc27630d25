"""The status, the fields and the body of a refusal."""

import json

import pytest

from authguard import errors
from authguard._core.answer.refusal import Challenges, refuse, see_other

ANSWERS = [
    (errors.InvalidRequestError, 400, "invalid_request", "invalid_request"),
    (errors.MissingCredentialsError, 401, "missing_credentials", None),
    (errors.InvalidTokenError, 401, "invalid_token", "invalid_token"),
    (errors.MalformedTokenError, 401, "invalid_token", "invalid_token"),
    (errors.InvalidSignatureError, 401, "invalid_token", "invalid_token"),
    (errors.ExpiredTokenError, 401, "invalid_token", "invalid_token"),
    (errors.InvalidIssuerError, 401, "invalid_token", "invalid_token"),
    (errors.InvalidAudienceError, 401, "invalid_token", "invalid_token"),
    (errors.MissingRequiredClaimError, 401, "invalid_token", "invalid_token"),
    (errors.InvalidAPIKeyError, 401, "invalid_token", "invalid_token"),
    (errors.RevokedTokenError, 401, "invalid_token", "invalid_token"),
    (errors.InsufficientScopeError, 403, "insufficient_scope", "insufficient_scope"),
    (
        errors.InsufficientUserAuthenticationError,
        401,
        "insufficient_user_authentication",
        "insufficient_user_authentication",
    ),
    (errors.CrossSiteRequestError, 403, "cross_site_request", None),
    (errors.AddressDeniedError, 403, "address_denied", None),
    (errors.UnexpectedError, 500, "internal_error", None),
    (errors.VerificationUnavailableError, 503, "unavailable", None),
]
API = Challenges("api")
every_error = pytest.mark.parametrize(
    ("kind", "status", "code", "challenge"), ANSWERS, ids=[kind.__name__ for kind, *_ in ANSWERS]
)


def header(refusal, name):
    return dict(refusal.headers).get(name)


@every_error
def test_the_status_is_that_of_the_error(kind, status, code, challenge):
    """Each class of error has its status, in the status line and in the document."""
    refusal = refuse(kind(), API)
    assert (refusal.status, json.loads(refusal.body)["status"]) == (status, status)


@every_error
def test_the_body_is_a_problem_document(kind, status, code, challenge):
    """The document has the members of RFC 9457, and the error code."""
    problem = json.loads(refuse(kind(), API).body)
    assert problem == {
        "type": "about:blank",
        "title": kind.title,
        "status": status,
        "detail": kind.detail,
        "code": code,
    }


@every_error
def test_the_reason_is_not_shown(kind, status, code, challenge):
    """The reason of an error is not in the answer; only the log has it."""
    refusal = refuse(kind("the inner reason"), API)
    assert "inner reason" not in repr(refusal.headers) + refusal.body.decode()


@every_error
def test_no_answer_is_stored(kind, status, code, challenge):
    """A refusal has `Cache-Control: no-store`."""
    assert header(refuse(kind(), API), "cache-control") == "no-store"


@every_error
def test_no_browser_guesses_the_type_of_a_refusal(kind, status, code, challenge):
    """A refusal has `X-Content-Type-Options: nosniff`."""
    assert header(refuse(kind(), API), "x-content-type-options") == "nosniff"


@every_error
def test_the_challenge_is_that_of_rfc_6750(kind, status, code, challenge):
    """A 401 has a challenge; another status has one only if RFC 6750 defines an error code for it."""
    value = header(refuse(kind(), API), "www-authenticate")
    if challenge:
        assert value == f'Bearer realm="api", error="{challenge}", error_description="{kind.detail}"'
    else:
        assert value == ('Bearer realm="api"' if status == 401 else None)


def test_all_invalid_tokens_get_one_answer():
    """A forged token and an expired one get the same answer, so that an attacker cannot compare them."""
    kinds = [kind for kind, _, code, _ in ANSWERS if code == "invalid_token"]
    assert len({(refuse(kind(), API).headers, refuse(kind(), API).body) for kind in kinds}) == 1


def test_the_challenge_names_the_scopes():
    """The challenge of a 403 lists the missing scopes in order."""
    value = header(refuse(errors.InsufficientScopeError(scopes={"b", "a"}), API), "www-authenticate")
    assert value.endswith(', scope="a b"')


@pytest.mark.parametrize(
    ("question", "end"),
    [
        ({"acr_values": ["b", "a"]}, ', acr_values="b a"'),
        ({"max_age": 300}, ', max_age="300"'),
        ({"acr_values": ("a",), "max_age": 60}, ', acr_values="a", max_age="60"'),
    ],
    ids=["acr", "age", "both"],
)
def test_the_challenge_says_how_to_sign_in(question, end):
    """The challenge has the parameters of RFC 9470 section 3 that the error has, in order of preference."""
    error = errors.InsufficientUserAuthenticationError(**question)
    assert header(refuse(error, API), "www-authenticate") == (
        'Bearer realm="api", error="insufficient_user_authentication", '
        f'error_description="{error.detail}"{end}'
    )


def test_the_challenge_to_sign_in_is_in_the_scheme_that_was_used():
    """The challenge to sign in again is part of the DPoP challenge alone if the credential came by DPoP."""
    error = errors.InsufficientUserAuthenticationError(max_age=60)
    value = header(refuse(error, Challenges("api", algorithms="ES256"), "DPoP"), "www-authenticate")
    assert value == (
        'Bearer realm="api", DPoP realm="api", error="insufficient_user_authentication", '
        f'error_description="{error.detail}", max_age="60", algs="ES256"'
    )


def test_unavailable_says_when_to_try_again():
    """A 503 has the field Retry-After."""
    assert header(refuse(errors.VerificationUnavailableError(retry_after=9), API), "retry-after") == "9"


@pytest.mark.parametrize("seconds", [0, -5, 0.2], ids=str)
def test_retry_after_is_at_least_a_second(seconds):
    """Retry-After is at least one second."""
    assert errors.VerificationUnavailableError(retry_after=seconds).retry_after == 1


def test_the_reason_of_an_error_defaults_to_its_detail():
    """The reason of an error without a text of its own is its public detail."""
    assert errors.MissingCredentialsError().reason == "Authentication is required."


def test_a_configuration_error_is_a_value_error():
    """`except ValueError` catches a ConfigurationError."""
    assert issubclass(errors.ConfigurationError, ValueError)


def test_a_login_redirect_is_a_303_that_is_not_stored():
    """A login redirect is a 303 with a location, without a body, and is not stored."""
    refusal = see_other("/login")
    assert (refusal.status, refusal.body, refusal.error) == (303, b"", None)
    assert dict(refusal.headers) == {
        "location": "/login",
        "cache-control": "no-store",
        "vary": "Accept, Cookie, Sec-Fetch-Mode",
    }


REFUSAL = refuse(errors.InvalidTokenError(), API)


@pytest.mark.parametrize("body", ["<p>ä", "<p>ä".encode()], ids=["text", "bytes"])
def test_with_body_changes_body_and_content_type(body):
    """`with_body` replaces the body and the media type."""
    changed = REFUSAL.with_body(body, "text/html")
    kinds = [value for name, value in changed.headers if name == "content-type"]
    assert (changed.body, kinds) == ("<p>ä".encode(), ["text/html"])


def test_with_body_keeps_status_challenge_and_caching():
    """`with_body` keeps the status, the challenge and `Cache-Control`."""
    changed = REFUSAL.with_body("x", "text/plain")
    assert changed.status == 401
    assert header(changed, "www-authenticate") == header(REFUSAL, "www-authenticate")
    assert header(changed, "cache-control") == "no-store"


def test_with_json_writes_json():
    """`with_json` writes the document as JSON."""
    changed = REFUSAL.with_json({"error": "no"})
    assert (json.loads(changed.body), header(changed, "content-type")) == (
        {"error": "no"},
        "application/json",
    )


@pytest.mark.parametrize("body", [{"error": "no"}, None, 5, ["a"], bytearray(b"a")], ids=repr)
def test_with_body_takes_text_or_bytes(body):
    """Another body is refused where it is passed, with the method for JSON."""
    with pytest.raises(
        errors.ConfigurationError, match=r"body must be text or bytes, got \w+: write with_json"
    ):
        REFUSAL.with_body(body, "application/json")


def test_with_header_adds_a_field_in_lower_case():
    """`with_header` adds the field at the end, with its name in lower case."""
    assert REFUSAL.with_header("X-Id", "7").headers[-1] == ("x-id", "7")


@pytest.mark.parametrize("field", [("a\nb", "x"), ("a", "x\r\nb: c"), ("a", "x\ry"), ("a", "x\0")], ids=repr)
def test_with_header_refuses_to_split_the_response(field):
    """`with_header` raises ValueError for a line break or a NUL in a field."""
    with pytest.raises(ValueError, match="line break"):
        REFUSAL.with_header(*field)


def test_fields_have_the_length_of_the_body():
    """The content-length is the number of bytes of the body."""
    assert REFUSAL.with_body("ä", "text/plain").fields()[-1] == ("content-length", "2")


def test_a_refusal_carries_its_error():
    """A refusal has its error as an attribute."""
    assert isinstance(REFUSAL.error, errors.InvalidTokenError)

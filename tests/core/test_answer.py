"""What goes on the wire."""

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
    """Each class has its status, in the line and in the document."""
    refusal = refuse(kind(), API)
    assert (refusal.status, json.loads(refusal.body)["status"]) == (status, status)


@every_error
def test_the_body_is_a_problem_document(kind, status, code, challenge):
    """The document has the members of RFC 9457, and the code."""
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
    """What went wrong is for logs alone."""
    refusal = refuse(kind("the inner reason"), API)
    assert "inner reason" not in repr(refusal.headers) + refusal.body.decode()


@every_error
def test_no_answer_is_stored(kind, status, code, challenge):
    """No cache keeps a refusal."""
    assert header(refuse(kind(), API), "cache-control") == "no-store"


@every_error
def test_no_browser_guesses_the_type_of_a_refusal(kind, status, code, challenge):
    """A refusal has `X-Content-Type-Options: nosniff`."""
    assert header(refuse(kind(), API), "x-content-type-options") == "nosniff"


@every_error
def test_the_challenge_is_that_of_rfc_6750(kind, status, code, challenge):
    """401 has a challenge, other answers only where an error code is defined."""
    value = header(refuse(kind(), API), "www-authenticate")
    if challenge:
        assert value == f'Bearer realm="api", error="{challenge}", error_description="{kind.detail}"'
    else:
        assert value == ('Bearer realm="api"' if status == 401 else None)


def test_all_invalid_tokens_get_one_answer():
    """An attacker cannot tell forged from expired."""
    kinds = [kind for kind, _, code, _ in ANSWERS if code == "invalid_token"]
    assert len({(refuse(kind(), API).headers, refuse(kind(), API).body) for kind in kinds}) == 1


def test_the_challenge_names_the_scopes():
    """What the resource needs is told, in order."""
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
    """As RFC 9470 section 3 writes it, and only what is asked; the preferred value comes first."""
    error = errors.InsufficientUserAuthenticationError(**question)
    assert header(refuse(error, API), "www-authenticate") == (
        'Bearer realm="api", error="insufficient_user_authentication", '
        f'error_description="{error.detail}"{end}'
    )


def test_the_challenge_to_sign_in_is_in_the_scheme_that_was_used():
    """The other scheme's challenge says nothing of it."""
    error = errors.InsufficientUserAuthenticationError(max_age=60)
    value = header(refuse(error, Challenges("api", algorithms="ES256"), "DPoP"), "www-authenticate")
    assert value == (
        'Bearer realm="api", DPoP realm="api", error="insufficient_user_authentication", '
        f'error_description="{error.detail}", max_age="60", algs="ES256"'
    )


def test_unavailable_says_when_to_try_again():
    """503 has Retry-After."""
    assert header(refuse(errors.VerificationUnavailableError(retry_after=9), API), "retry-after") == "9"


@pytest.mark.parametrize("seconds", [0, -5, 0.2], ids=str)
def test_retry_after_is_at_least_a_second(seconds):
    """Nobody is told to come back at once."""
    assert errors.VerificationUnavailableError(retry_after=seconds).retry_after == 1


def test_the_reason_of_an_error_defaults_to_its_detail():
    """An error without a reason says what everybody is told."""
    assert errors.MissingCredentialsError().reason == "Authentication is required."


def test_a_configuration_error_is_a_value_error():
    """Who catches ValueError catches it."""
    assert issubclass(errors.ConfigurationError, ValueError)


def test_a_login_redirect_is_a_303_that_is_not_stored():
    """It holds the location and no body."""
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
    """The new body has its media type, and just one."""
    changed = REFUSAL.with_body(body, "text/html")
    kinds = [value for name, value in changed.headers if name == "content-type"]
    assert (changed.body, kinds) == ("<p>ä".encode(), ["text/html"])


def test_with_body_keeps_status_challenge_and_caching():
    """All but the body stays."""
    changed = REFUSAL.with_body("x", "text/plain")
    assert changed.status == 401
    assert header(changed, "www-authenticate") == header(REFUSAL, "www-authenticate")
    assert header(changed, "cache-control") == "no-store"


def test_with_json_writes_json():
    """The document is written as JSON."""
    changed = REFUSAL.with_json({"error": "no"})
    assert (json.loads(changed.body), header(changed, "content-type")) == (
        {"error": "no"},
        "application/json",
    )


def test_with_header_adds_a_field_in_lower_case():
    """The field comes last, its name in lower case."""
    assert REFUSAL.with_header("X-Id", "7").headers[-1] == ("x-id", "7")


@pytest.mark.parametrize("field", [("a\nb", "x"), ("a", "x\r\nb: c"), ("a", "x\ry"), ("a", "x\0")], ids=repr)
def test_with_header_refuses_to_split_the_response(field):
    """A line break in a field is an error."""
    with pytest.raises(ValueError, match="line break"):
        REFUSAL.with_header(*field)


def test_fields_have_the_length_of_the_body():
    """The length is that of the bytes."""
    assert REFUSAL.with_body("ä", "text/plain").fields()[-1] == ("content-length", "2")


def test_a_refusal_carries_its_error():
    """What went wrong is there for handlers."""
    assert isinstance(REFUSAL.error, errors.InvalidTokenError)

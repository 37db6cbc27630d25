"""The messages of bodies that are refused name the fault, and repeat no value."""

import json

import pytest
from starlette.testclient import TestClient

from authguard._core.strict_json import JSONError, parse_object_bytes
from authguard.identity import Identity, IdentityService
from authguard.identity.model import SocialIdentity
from authguard.identity.web.bodies import fault_of
from identity.keys import create_key, register
from identity.support import PASSWORD

pytestmark = pytest.mark.one_database

SURROGATE = r"has half a character (a lone surrogate, from \ud800 to \udfff): write both halves"
NAN = "has NaN or Infinity, which are no numbers in JSON"
FAULTS = {
    b'{"email":"a","email":"b"}': "email was sent twice",
    b'{"x":{"a_1":"secret","a_1":"secret"}}': "a_1 was sent twice",
    b'{"<b>":1,"<b>":2}': "b was sent twice",
    b'{"":1,"":2}': "a field was sent twice",
    b'{"\\u0061":1,"a":2}': "a was sent twice",
    b'\xef\xbb\xbf{"email":"a"}': "begins with a byte order mark: leave it out",
    b'{"password":"\\ud800"}': SURROGATE,
    b'{"password":"\\udc00\\ud800"}': SURROGATE,
    b'{"\\udfff":1}': SURROGATE,
    b'{"a":NaN}': NAN,
    b'{"a":[-Infinity]}': NAN,
    b'{"e":"\xff"}': "is not UTF-8",
    b'{"e":"\xed\xa0\x80"}': "is not UTF-8",
    b"": "is not a JSON object, but empty",
    b" \n": "is not a JSON object, but empty",
    b"1e400": "is not a JSON object",
    b"[{}]": "is not a JSON object",
    b"null": "is not a JSON object",
    b'"secret"': "is not a JSON object",
    b'{"a":' * 100_000: "is nested too deeply",
    b'{"a":' + b"1" * 5_000 + b"}": "has a number of too many digits",
    b'{"a":"secret";}': "is not a JSON object: its text has a fault in line 1, at character 14",
    b'{"a":1,\n "b":secret}': "is not a JSON object: its text has a fault in line 2, at character 6",
    b"{'a':1}": "is not a JSON object: its text has a fault in line 1, at character 2",
}


@pytest.fixture
def client(service: IdentityService) -> TestClient:
    return TestClient(Identity(service))


def errors_of(client: TestClient, path: str, body: object, **headers: str) -> dict[str, str]:
    """Return the message of each field of a refused request."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post(
        f"/v1/{path}", content=content, headers={"content-type": "application/json", **headers}
    )
    assert answer.status_code == 422
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


@pytest.mark.parametrize("body", FAULTS, ids=lambda body: repr(body[:20]))
def test_the_fault_of_a_body_is_named(body: bytes) -> None:
    """Each body that the reader refuses has a message with its fault, and without its values."""
    with pytest.raises(JSONError) as refused:
        parse_object_bytes(body)
    assert fault_of(body, refused.value) == FAULTS[body]


@pytest.mark.parametrize("body", list(FAULTS)[:8], ids=lambda body: repr(body[:20]))
def test_the_fault_of_a_body_is_answered(client: TestClient, body: bytes) -> None:
    """The endpoints answer with the fault of the body."""
    assert errors_of(client, "auth/login", body) == {"body": FAULTS[body]}


@pytest.mark.parametrize(
    ("path", "body", "errors"),
    [
        ("auth/api-keys", {"permissions": ["x"]}, {"permissions": "is one of read, write, admin"}),
        ("auth/api-keys", {"permissions": ["read", 1]}, {"permissions": "is one of read, write, admin"}),
        ("KEY", {"activate": "later"}, {"activate": "is one of now, first_use"}),
        ("KEY", {"grace_seconds": -1}, {"grace_seconds": "is at least 0"}),
        ("KEY", {"grace_seconds": 10**8}, {"grace_seconds": "is at most 2592000"}),
        ("KEY", {"grace_seconds": 1.5}, {"grace_seconds": "is a whole number"}),
        ("auth/register", {"email": "b@c.de", "password": PASSWORD, "name": "x" * 201},
         {"name": "has at most 200 characters"}),
        ("auth/login", {"email": "x" * 321, "password": "s" * 1025},
         {"email": "has at most 320 characters", "password": "has at most 1024 characters"}),
        ("auth/login", {"email": "", "password": ""}, {"email": "is empty", "password": "is empty"}),
    ],
)  # fmt: skip
def test_a_message_names_the_bound(
    client: TestClient, path: str, body: object, errors: dict[str, str]
) -> None:
    """The message of a value that is out of range names the bound, or the accepted values."""
    headers = register(client)
    key = create_key(client, headers)
    path = f"api-keys/{key['id']}/rotations" if path == "KEY" else path
    assert errors_of(client, path, body, **headers) == errors


def test_a_change_of_a_password_that_does_not_exist(service: IdentityService, client: TestClient) -> None:
    """An account without a password is told so, and how to set one; another account is not."""
    tokens = service.sign_in_with(SocialIdentity("github", "1", "bob@example.com", email_verified=True))
    body = {"current_password": "guess", "new_password": "Another-Pass-456!"}
    message = "is not right, as the account has no password: set one by a link of forgot-password"
    bearer = f"Bearer {tokens.access_token}"
    assert errors_of(client, "auth/change-password", body, authorization=bearer) == {
        "current_password": message
    }
    assert errors_of(client, "auth/change-password", body, **register(client)) == {
        "current_password": "is not right"
    }

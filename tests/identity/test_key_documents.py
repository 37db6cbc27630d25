"""The API keys of both documents: their requests as written, and their answers field by field."""

import datetime as dt
import json
import os
import re
import subprocess
import sys

import pytest
import requests

from identity.key_servers import running
from identity.seeds import (
    AINATIVE,
    curl_examples,
    exchange,
    indented,
    needs_seeds,
    section,
    seed,
    served_at,
    shape_of,
)
from identity.support import node

pytestmark = [needs_seeds, pytest.mark.one_database]

DOCUMENT = seed("ainative-authentication")
KEYS = DOCUMENT[DOCUMENT.find("Creating an API Key") :]
CURL = curl_examples(seed("invora-api-keys"))


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with running(tmp_path_factory.mktemp("keys")) as servers:
        yield servers


@pytest.fixture
def token(servers):
    return servers.register()[1]


def create(servers, token, **body):
    """Return a new key of the AINative API."""
    body = {"name": "Production Server Key"} | body
    headers = {"Authorization": f"Bearer {token}"}
    return requests.post(f"{servers.service}/v1/api-keys", headers=headers, json=body).json()


def status_of(servers, key):
    """Return the status of the service for a key that asks for its owner."""
    return requests.get(f"{servers.service}/v1/auth/me", headers={"X-API-Key": key}).status_code


def send(servers, written, credential, key_id=""):
    """Send a request of the document, with another credential than the written one."""
    headers = dict(written.headers)
    for name in written.headers:
        if name == "Authorization":
            headers[name] = f"Bearer {credential}"
        elif name == "X-API-Key":
            headers[name] = credential
    url = servers.base_of(written.path) + written.path.replace("{key_id}", key_id)
    return requests.request(written.method, url, headers=headers, json=written.body)


# The AINative document.


def created():
    last = "Critical: Save the api_key value immediately - it's only shown once!"
    return exchange(section(KEYS, "Creating an API Key", last))


def test_creates_a_key(servers, token):
    """The answer to a creation has the documented fields, and the key has the documented form."""
    response = send(servers, created(), token)
    document = response.json()
    assert response.status_code == 201
    assert shape_of(document) == shape_of(created().answer)
    assert re.fullmatch(r"key_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["id"])
    assert document["api_key"].startswith("sk_live_")
    assert (document["name"], document["prefix"]) == ("Production Server Key", "sk_live")
    lifetime = moment(document["expires_at"]) - moment(document["created_at"])
    assert lifetime == dt.timedelta(days=90)


def moment(text):
    return dt.datetime.fromisoformat(text)


def test_creates_a_key_for_the_sandbox(servers, token):
    """A key for the sandbox begins with `sk_test_`."""
    document = create(servers, token, kind="sk_test")
    assert document["api_key"].startswith("sk_test_")
    assert document["prefix"] == "sk_test"


def test_lists_keys(servers, token):
    """The list has the documented fields of each key, in their order, and not the key itself."""
    new = send(servers, created(), token).json()
    written = exchange(section(KEYS, "List All Your API Keys", "Revoke an API Key"))
    requests.get(f"{servers.service}/v1/auth/me", headers={"X-API-Key": new["api_key"]})
    response = send(servers, written, token)
    (document,) = response.json()
    assert response.status_code == 200
    assert [name for name, _ in shape_of([document])[0]] == [name for name, _ in shape_of(written.answer)[0]]
    assert {name: document[name] for name in ("id", "name", "prefix", "expires_at", "created_at")} == {
        name: new[name] for name in ("id", "name", "prefix", "expires_at", "created_at")
    }
    assert document["is_active"] is True
    assert new["api_key"] not in response.text


def test_revokes_a_key(servers, token):
    """The answer to a revocation is the documented message, and the key is refused afterwards."""
    new = create(servers, token)
    written = exchange(section(KEYS, "Revoke an API Key", "API Key Rotation Strategy"))
    response = send(servers, written, token, new["id"])
    assert (response.status_code, response.json()) == (200, written.answer)
    assert (
        requests.get(f"{servers.service}/v1/auth/me", headers={"X-API-Key": new["api_key"]}).status_code
        == 401
    )
    (listed,) = requests.get(
        f"{servers.service}/v1/api-keys", headers={"Authorization": f"Bearer {token}"}
    ).json()
    assert listed["is_active"] is False


@pytest.mark.parametrize("prefix", ["sk_live", "sk_test", "ak"])
@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("Using API Keys", "Option 2: Authorization Header"),
        ("Option 2: Authorization Header", "Python Example with API Key"),
    ],
    ids=["X-API-Key", "Bearer"],
)
def test_a_key_opens_the_application(servers, token, prefix, first, last):
    """A key of each prefix, in either field, is accepted by an application on the same database."""
    key = create(servers, token, kind=prefix)["api_key"]
    assert key.startswith(f"{prefix}_")
    assert send(servers, exchange(section(KEYS, first, last)), key).status_code == 200


def test_an_invalid_key_is_401(servers, token):
    """An application refuses a revoked key and an unknown one with 401."""
    new = create(servers, token)
    written = exchange(section(KEYS, "Using API Keys", "Option 2: Authorization Header"))
    assert send(servers, written, new["api_key"]).status_code == 200
    assert send(servers, written, written.headers["X-API-Key"]).status_code == 401
    requests.delete(
        f"{servers.service}/v1/api-keys/{new['id']}", headers={"Authorization": f"Bearer {token}"}
    )
    deadline = dt.datetime.now() + dt.timedelta(seconds=3)
    while send(servers, written, new["api_key"]).status_code != 401:
        assert dt.datetime.now() < deadline


# Its code.


def run_python(code, folder, *, given="", **variables):
    """Run a program, and return its output."""
    program = folder / "example.py"
    program.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(program)], input=given, capture_output=True, text=True, timeout=60,
        env={**os.environ, **variables}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_python_example_with_api_key(servers, token, tmp_path):
    """The Python example reads the projects with the key of the environment."""
    code = served_at(section(KEYS, "Python Example with API Key", "Managing API Keys"), servers.bases)
    shown = run_python(code, tmp_path, AINATIVE_API_KEY=create(servers, token)["api_key"])
    assert "projects" in shown


@pytest.mark.slow
def test_rotation_example(servers, token, tmp_path):
    """`rotate_api_key` makes a new key, waits for Enter, and revokes the old one."""
    old = create(servers, token)
    written = section(KEYS, "Best practice: Rotate keys every 90 days", "OAuth2 Integration")
    code = served_at(indented(written, [('"""', 1)]), servers.bases)
    call = "\nimport os\nrotate_api_key(os.environ['OLD_ID'], os.environ['JWT'])\n"
    shown = run_python(code + call, tmp_path, given="\n", OLD_ID=old["id"], JWT=token)
    new = re.search(r"New API Key: (\S+)", shown)[1]
    assert shown.rstrip().endswith("Old key revoked successfully")
    assert [status_of(servers, key) for key in (new, old["api_key"])] == [200, 401]


@pytest.mark.slow
def test_auth_client(servers, tmp_path):
    """`AuthClient` signs in, and reads the projects with its token."""
    email, _ = servers.register()
    written = section(DOCUMENT, "Automatic Token Refresh (Python)", "API Key Authentication")
    depths = [
        ("def __init__", 1), ("self.email", 2), ("def login", 1), ("response = ", 2),
        ("def get_token", 1), ("# Refresh 5", 2), ("self.refresh_token()", 3), ("return self.token", 2),
        ("def refresh_token", 1), ("response = ", 2), ("def make_request", 1), ("headers = ", 2),
        ("# Usage", 0),
    ]  # fmt: skip
    code = served_at(indented(written, depths), servers.bases).replace("user@example.com", email)
    assert "projects" in run_python(code, tmp_path)


@pytest.mark.slow
def test_rate_limited_client(servers, token, tmp_path):
    """`RateLimitedClient` sends the key, and waits for its turn; `import time` is missing in the document."""
    written = section(DOCUMENT, "6. Implement Rate Limiting", "7. Validate SSL Certificates")
    depths = [
        ("def __init__", 1), ("self.api_key", 2), ("def make_request", 1), ("# Remove old", 2),
        ("sleep_time", 3), ("# Make request", 2),
    ]  # fmt: skip
    calls = f"""
import os, time
client = RateLimitedClient(os.environ["KEY"], requests_per_minute=2)
begin = time.time()
client.request_times = [begin - 59.5, begin - 1]
print(client.make_request("{AINATIVE}/v1/database/projects").json(), time.time() - begin > 0.4)
"""
    code = served_at(indented(written, depths) + calls, servers.bases)
    shown = run_python(code, tmp_path, KEY=create(servers, token)["api_key"])
    assert "projects" in shown and shown.rstrip().endswith("True")


@pytest.mark.slow
def test_expired_token_example(servers, token, tmp_path):
    """`make_authenticated_request` refreshes upon a 401, and sends the request again."""
    written = section(DOCUMENT, "4. Implement Token Expiration Handling", "5. Use HTTPS Only")
    depths = [
        ("try:", 1), ("response", 2), ("except", 1), ("if e.response", 2), ("# Token expired", 3),
        ("raise", 2),
    ]  # fmt: skip
    calls = f"""
import os
refresh_token = lambda token: os.environ["NEW"]
print(make_authenticated_request("{AINATIVE}/v1/database/projects", "old"))
"""
    code = served_at(indented(written, depths) + calls, servers.bases)
    assert "projects" in run_python(code, tmp_path, NEW=token)


# The guide.


def guide_key(servers, token):
    return create(servers, token, kind="ak")["api_key"]


@pytest.mark.slow
def test_guides_python_example(servers, token, tmp_path):
    """The Python example reads the balance with a key of the guide's prefix."""
    guide = seed("ainative-auth-guide")
    begin = guide.index("import requests")
    code = guide[begin : guide.index("const res")].replace("ak_your_key", guide_key(servers, token))
    shown = run_python(served_at(code, servers.bases) + "\nprint(response.json())", tmp_path)
    assert "balance" in shown


@pytest.mark.slow
def test_guides_javascript_example(servers, token):
    """The JavaScript example reads the balance with a key of the guide's prefix."""
    guide = seed("ainative-auth-guide")
    begin = guide.index("const res")
    code = guide[begin : guide.index("});", begin) + 3].replace("ak_your_key", guide_key(servers, token))
    program = served_at(code, servers.bases) + "\nconsole.log(await res.text());"
    done = subprocess.run(
        [node(), "--input-type=module"], input=program, capture_output=True, text=True, timeout=60, check=True
    )
    assert "balance" in done.stdout


# Invora.


def curl(servers, number, key, key_id=""):
    """Run a curl command of the document, and return the status and JSON of its answer."""
    command = served_at(CURL[number][0], servers.bases).replace("claw_xxxx", key)
    command = command.replace(CURL[2][0].split("/")[-1].split(" ")[0], key_id)
    script = f"{command} \\\n-sS -w '\\n%{{http_code}}'"
    done = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, timeout=60, check=True)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(text)


@pytest.fixture
def claw(servers, token):
    """Return a key of the Invora API, which a session has made."""
    response = requests.post(
        f"{servers.service}/v1/auth/api-keys", headers={"Authorization": f"Bearer {token}"}, json={}
    )
    return response.json()


def test_invora_creates_a_key(servers, claw):
    """The answer to a creation is 201 with the documented fields, key, secret and message."""
    status, document = curl(servers, 0, claw["key"])
    assert status == 201
    assert shape_of(document) == shape_of(CURL[0][1])
    assert re.fullmatch(r"[0-9a-f]{24}", document["id"])
    assert document["key"].startswith("claw_") and document["secret"].startswith("clsk_")
    for name in ("name", "permissions", "tier", "message"):
        assert document[name] == CURL[0][1][name]


def test_invora_has_defaults(claw):
    """A creation without fields has the documented name and permissions."""
    assert (claw["name"], claw["permissions"]) == ("Default Key", ["read", "write"])


def test_invora_lists_keys(servers, claw):
    """The list has the documented fields, and the first 12 characters of each key."""
    status, document = curl(servers, 1, claw["key"])
    assert status == 200
    assert shape_of(document) == shape_of(CURL[1][1])
    (listed,) = document["keys"]
    assert listed["key"] == claw["key"][:12] + "..."
    assert (listed["_id"], listed["enabled"], listed["tier"]) == (claw["id"], True, "free")


def test_invora_revokes_a_key(servers, claw):
    """A revocation is answered by `success`, and the key is listed as not enabled, and refused."""
    other = curl(servers, 0, claw["key"])[1]
    assert curl(servers, 2, claw["key"], other["id"]) == (200, CURL[2][1])
    shown = {key["_id"]: key["enabled"] for key in curl(servers, 1, claw["key"])[1]["keys"]}
    assert shown == {claw["id"]: True, other["id"]: False}
    assert curl(servers, 1, other["key"])[0] == 401


def test_invora_shows_usage(servers, claw):
    """The usage has the documented fields and the limits of the free tier."""
    for _ in range(3):
        headers = {"X-API-Key": claw["key"]}
        assert requests.get(f"{servers.application}/v1/database/projects", headers=headers).ok
    status, document = curl(servers, 3, claw["key"])
    assert status == 200
    assert shape_of(document) == shape_of(CURL[3][1])
    assert (document["tier"], document["limits"]) == ("free", CURL[3][1]["limits"])


@pytest.mark.parametrize("number", range(4), ids=["create", "list", "revoke", "usage"])
@pytest.mark.parametrize("key", ["claw_xxxx", "claw_" + "a" * 16 + "_" + "b" * 43 + "_000000"])
def test_invoras_401(servers, claw, number, key):
    """An invalid key is 401 at each endpoint, with a problem document."""
    status, problem = curl(servers, number, key, claw["id"])
    assert (status, problem["status"]) == (401, 401)


def test_keys_of_either_document_open_the_other(servers, token, claw):
    """Each API accepts the keys of both, and lists all keys of the owner."""
    sk = create(servers, token)
    for key in (sk["api_key"], claw["key"]):
        headers = {"X-API-Key": key}
        invora = requests.get(f"{servers.service}/v1/auth/api-keys", headers=headers).json()["keys"]
        ainative = requests.get(f"{servers.service}/v1/api-keys", headers=headers).json()
        assert {each["_id"] for each in invora} == {each["id"] for each in ainative} == {sk["id"], claw["id"]}
        assert requests.get(f"{servers.application}/v1/database/projects", headers=headers).ok


@pytest.mark.slow
def test_the_first_free_limit_is_the_documented_one(servers, token):
    """The eleventh request of a minute is 429, and requests that manage keys do not count."""
    key = create(servers, token)["api_key"]
    headers = {"X-API-Key": key}
    for _ in range(12):
        assert requests.get(f"{servers.service}/v1/auth/usage", headers=headers).status_code == 200
    statuses = [
        requests.get(f"{servers.application}/v1/database/projects", headers=headers).status_code
        for _ in range(11)
    ]
    assert statuses == [200] * 10 + [429]

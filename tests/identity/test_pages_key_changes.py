"""The pages of API keys: rotating and revoking over HTTP, and the refused requests."""

import pytest
from starlette.testclient import TestClient

from authguard.identity import Identity
from identity.api_key_support import rows, update, verify
from identity.key_pages import FIELDS, FILE, KEY, KEYS, NEW, ROTATE, call, create, first_key, texts_in, words
from identity.support import ANN, Page, browser, service_at, set_cookies

pytestmark = pytest.mark.one_database  # pages do not depend on the database


# --- rotating


def test_rotating_at_once(ann, service):
    """The new secret is shown once, the old one is refused, and the id stays."""
    old = create(ann)
    key_id = first_key(ann)
    response = ann.post(f"{KEY}/rotate", data={"key": key_id} | ROTATE)
    (new,) = texts_in(response)
    assert response.headers["cache-control"] == "no-store"
    assert "is used from now on. The previous one ends at once." in words(response)
    assert verify(service, new).key_id == key_id
    with pytest.raises(Exception, match="unknown API key"):
        verify(service, old)
    assert texts_in(ann.get(f"{KEY}?key={key_id}")) == []


def test_rotating_with_grace(ann, service, clock):
    """The old secret is accepted for exactly the grace of the form."""
    old = create(ann)
    (new,) = texts_in(
        ann.post(f"{KEY}/rotate", data={"key": first_key(ann), "activate": "now", "grace_seconds": "3600"})
    )
    clock.go_on(3_599)
    assert verify(service, old).key_id == verify(service, new).key_id
    clock.go_on(1)
    with pytest.raises(Exception, match="expired API key"):
        verify(service, old)


def test_rotating_at_first_use(app, ann):
    """With activation by first use, the old secret is accepted until the new one is used."""
    old = create(ann)
    fields = {"key": first_key(ann), "activate": "first_use", "grace_seconds": "0"}
    response = ann.post(f"{KEY}/rotate", data=fields)
    (new,) = texts_in(response)
    assert "is used from its first use on." in words(response)
    assert [call(app, text) for text in (old, new, old)] == [200, 200, 401]


@pytest.mark.parametrize(
    "fields",
    [
        {"activate": "later"},
        {"activate": ""},
        {"grace_seconds": "-1"},
        {"grace_seconds": "2592001"},
        {"grace_seconds": "99999999"},
        {"grace_seconds": "1.5"},
        {"grace_seconds": ""},
        {"confirm": "yes"},
    ],
)
def test_a_wrong_rotation_is_refused(ann, service, fields):
    """A wrong rotation gets the page of the key with 422 and an error, and the secret stays."""
    text = create(ann)
    response = ann.post(f"{KEY}/rotate", data={"key": first_key(ann)} | ROTATE | fields)
    assert response.status_code == 422
    assert Page(response).all("div")[1]["role"] == "alert"
    assert verify(service, text)


def test_a_key_that_has_ended_is_not_rotated(ann, service, clock):
    """The page of an expired key has no form for a rotation, and a request is refused with 409."""
    create(ann)
    key_id = first_key(ann)
    clock.go_on(91 * 86_400)
    ann.post("/login", data=ANN)
    page = ann.get(f"{KEY}?key={key_id}")
    assert "Rotate key" not in words(page)
    response = ann.post(f"{KEY}/rotate", data={"key": key_id} | ROTATE)
    assert (response.status_code, "can no longer be used" in words(response)) == (409, True)


# --- revoking


def test_revoking(app, ann, service):
    """A revoked key is refused at once, and is listed as revoked."""
    text = create(ann)
    response = ann.post(f"{KEY}/revoke", data={"key": first_key(ann), "confirm": "yes"})
    assert (response.status_code, response.headers["location"]) == (303, f"{KEYS}?notice=key-revoked")
    page = ann.get(response.headers["location"])
    assert "The key was revoked." in words(page)
    assert "Nightly export revoked" in words(page)
    assert call(app, text) == 401
    assert "Revoke key" not in words(ann.get(f"{KEY}?key={first_key(ann)}"))


def test_revoking_has_to_be_confirmed(ann, service):
    """A revocation without the confirmation is refused with its field, and the key remains valid."""
    text = create(ann)
    response = ann.post(f"{KEY}/revoke", data={"key": first_key(ann)})
    assert response.status_code == 422
    assert "Confirmation: This has to be ticked." in words(response)
    assert verify(service, text)


@pytest.mark.parametrize("key_id", ["", "key_unknown", "x" * 65, "a" * 5_000, "\u0000", "%2e"])
def test_unknown_keys_are_nothing(ann, key_id):
    """An unknown id of a key is 404 on each page."""
    create(ann)
    assert ann.get(KEY, params={"key": key_id}).status_code == 404
    for path, fields in ((f"{KEY}/rotate", ROTATE), (f"{KEY}/revoke", {"confirm": "yes"})):
        response = ann.post(path, data={"key": key_id} | fields)
        assert response.status_code == 404, path
        assert response.headers["content-type"].startswith("text/html")


# --- refused requests

_POSTS = [
    (NEW, FIELDS),
    (FILE, {"key": "k"}),
    (f"{KEY}/rotate", {"key": "k"} | ROTATE),
    (f"{KEY}/revoke", {"key": "k", "confirm": "yes"}),
]


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}],
    ids=str,
)
@pytest.mark.parametrize(("path", "fields"), _POSTS)
def test_forms_of_other_sites_are_refused(app, ann, service, path, fields, headers):
    """A form from another site gets a 403 page, and changes nothing."""
    client = browser(app, **headers)
    client.cookies.update(dict(ann.cookies))
    response = client.post(path, data=fields)
    assert (response.status_code, "Not sent from here" in words(response)) == (403, True)
    assert rows(service, "api_keys") == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("field", ["x-api-key", "authorization"])
def test_a_key_opens_no_page(app, ann, service, method, field):
    """An API key in either field gets a 403 page."""
    text = create(ann)
    headers = {field: text if field == "x-api-key" else f"Bearer {text}"}
    paths = [KEYS, NEW, f"{KEY}?key={first_key(ann)}"] if method == "GET" else [path for path, _ in _POSTS]
    for path in paths:
        data = dict(_POSTS)[path] if method == "POST" else None
        response = browser(app).request(method, path, headers=headers, data=data)
        assert (response.status_code, "An API key opens no page." in words(response)) == (403, True), path
    assert len(rows(service, "api_keys")) == 1


def test_a_token_of_a_key_opens_no_page(app, ann, service):
    """The token of a key is refused on the pages, as a cookie and as a field."""
    key, secret = texts_in(ann.post(NEW, data=FIELDS | {"kind": "claw"}))
    grant = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}
    token = TestClient(app).post("/v1/oauth/token", data=grant).json()["access_token"]
    as_cookie = browser(app)
    as_cookie.cookies.set("access_token", token)
    assert as_cookie.get(KEYS).status_code == 303
    assert as_cookie.post(NEW, data=FIELDS).status_code == 303
    as_field = browser(app).get(KEYS, headers={"authorization": f"Bearer {token}"})
    assert as_field.status_code == 403
    assert len(rows(service, "api_keys")) == 1


def test_an_expired_session_is_carried_on(ann, service, clock):
    """A browser with an expired access token gets new cookies, on the page of a key and with a form."""
    create(ann)
    key_id = first_key(ann)
    clock.go_on(28_801)
    response = ann.get(f"{KEY}?key={key_id}")
    assert response.headers["location"] == f"{KEY}?key={key_id}"
    clock.go_on(28_801)
    response = ann.post(NEW, data=FIELDS)
    assert set(set_cookies(response)) == {"access_token", "refresh_token"}
    assert verify(service, texts_in(response)[0])


def test_service_without_keys_has_no_pages(url, clock):
    """With `api_keys` off, the pages of keys are 404, and the account has no link to them."""
    with service_at(url, clock=clock, api_keys=False) as service:
        client = browser(Identity(service))
        client.post("/register", data=ANN)
        assert "API keys" not in words(client.get("/account"))
        assert [client.get(path).status_code for path in (KEYS, NEW, KEY)] == [404] * 3


def test_keys_are_recorded_for_audit(ann, service):
    """Creating, rotating and revoking a key on the pages each leave an event."""
    create(ann)
    key_id = first_key(ann)
    ann.post(f"{KEY}/rotate", data={"key": key_id} | ROTATE)
    ann.post(f"{KEY}/revoke", data={"key": key_id, "confirm": "yes"})
    counts = service.audit.counts()
    assert [counts[name] for name in (("api_key_create", "success"), ("api_key_rotate", "now"))] == [1, 1]
    assert counts["api_key_revoke", "success"] == 1


def test_the_page_of_a_key_says_that_it_was_found_in_public(ann, service):
    """The page of a key that was found in public says that, and the page of another revoked key does not."""
    create(ann)
    update(service, "UPDATE api_keys SET revoked_at = created_at")
    page = f"{KEY}?key={first_key(ann)}"
    assert "found where others can read it" not in words(ann.get(page))
    update(service, "UPDATE api_keys SET revoked_for = 'exposed'")
    assert "UTC, because it was found in public" in words(ann.get(page))

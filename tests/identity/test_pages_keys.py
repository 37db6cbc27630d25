"""The pages of API keys: creating and listing keys over HTTP, and refused requests."""

from dataclasses import replace

import pytest

from authguard.identity import Identity
from authguard.identity.storage.api_key_queries import insert_key, update_key
from authguard.identity.usecases.api_keys import MAX_DEAD_KEYS, MAX_KEYS
from identity.api_key_support import rows, update, verify
from identity.key_pages import (
    FIELDS,
    FILE,
    KEY,
    KEYS,
    NEW,
    ROTATE,
    call,
    create,
    first_key,
    keys_of,
    texts_in,
    words,
)
from identity.support import ANN, Page, browser, service_at

pytestmark = pytest.mark.one_database  # pages do not depend on the database


# --- creating


def test_a_key_is_made_and_shown(ann, service):
    """The answer to the form shows the new key in a readonly field, and the key is accepted at once."""
    response = ann.post(NEW, data=FIELDS)
    (text,) = texts_in(response)
    (field,) = Page(response).all("textarea")
    assert (field["name"], field["autocomplete"], "readonly" in field) == ("key", "off", True)
    assert f">{text}</textarea>" in response.text
    assert verify(service, text).scopes == {"read", "write"}


def test_a_key_is_shown_once(ann):
    """No later page shows the text of a key, and its answer is not cached."""
    response = ann.post(NEW, data=FIELDS)
    (text,) = texts_in(response)
    assert response.headers["cache-control"] == "no-store"
    key_id = first_key(ann)
    for path in (KEYS, NEW, f"{KEY}?key={key_id}", "/account"):
        page = ann.get(path)
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert text not in page.text
        assert texts_in(page) == []
        assert text[20:40] not in page.text


def test_the_file_has_the_key(ann):
    """The form around a new key returns a file with the key, named by its first characters."""
    response = ann.post(NEW, data=FIELDS)
    assert {"method": "post", "action": FILE} in Page(response).all("form")
    (text,) = texts_in(response)
    file = ann.post(FILE, data={"key": text})
    assert (file.status_code, file.text) == (200, f"{text}\n")
    assert file.headers["content-disposition"] == f'attachment; filename="{text[:12]}.txt"'
    assert file.headers["content-type"] == "text/plain; charset=utf-8"
    assert file.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "x"},
        {"key": "<script>alert(1)</script>"},
        {"key": "sk_live_" + "a" * 16 + "_" + "b" * 43 + "_000000"},
        {"key": "k" * 513},
        {"key": "{good}", "secret": "x"},
        {"key": "{good}", "secret": "{good}"},
        {"secret": "{good}"},
    ],
)
def test_a_file_is_of_keys_alone(ann, fields):
    """Text that is no key of the service is refused for a file, and not repeated."""
    good = create(ann)
    sent = {name: text.replace("{good}", good) for name, text in fields.items()}
    response = ann.post(FILE, data=sent)
    assert response.status_code == 422
    assert "content-disposition" not in response.headers
    assert not any(text in response.text for text in sent.values() if len(text) > 1)


def test_a_pair_shows_both(ann, service):
    """A `claw_` key is shown with its client secret, on the page and in the file."""
    response = ann.post(NEW, data=FIELDS | {"kind": "claw"})
    text, secret = texts_in(response)
    assert (text[:5], secret[:5]) == ("claw_", "clsk_")
    assert ann.post(FILE, data={"key": text, "secret": secret}).text == f"{text}\n{secret}\n"
    assert verify(service, text).scopes == {"read", "write"}


@pytest.mark.parametrize("kind", ["sk_live", "sk_test", "claw", "ak"])
def test_the_kind_is_chosen(ann, kind):
    """The form offers each kind of key, and the new key has the chosen kind."""
    offered = [field["value"] for field in Page(ann.get(NEW)).all("input") if field.get("name") == "kind"]
    assert kind in offered
    assert create(ann, kind=kind).startswith(f"{kind}_")


def test_scopes_are_those_that_are_ticked(ann, service):
    """The scopes of a key are those with a ticked box, among them the one to rotate itself."""
    response = ann.post(NEW, data={"name": "Robot", "kind": "sk_test", "read": "yes", "rotate": "yes"})
    assert verify(service, texts_in(response)[0]).scopes == {"read", "apikeys:rotate:self"}


def test_the_expiry_is_chosen(ann, service, clock):
    """The expiry of a key is the number of days of the form, or the lifetime of the settings."""
    create(ann, expires_in_days="7")
    create(ann, name="Second")
    ends = {key.name: (key.expires_at - clock.now) / 86_400 for key in keys_of(service)}
    assert ends == {"Nightly export": 7, "Second": 90}


def test_admin_is_offered_to_admins_alone(app, ann, service):
    """The box for the scope admin is shown to admins only, and others are refused with 403."""
    assert Page(ann.get(NEW)).all("input") != []
    assert 'name="admin"' not in ann.get(NEW).text
    refused = ann.post(NEW, data=FIELDS | {"admin": "yes"})
    assert (refused.status_code, "cannot have more rights than your account" in words(refused)) == (403, True)
    assert rows(service, "api_keys") == []
    update(service, "UPDATE users SET role = 'ADMIN'")
    assert 'name="admin"' in ann.get(NEW).text
    assert verify(service, create(ann, admin="yes")).scopes == {"read", "write", "admin"}


@pytest.mark.slow
def test_further_scopes_are_those_of_the_settings(url, clock):
    """The field for further scopes is shown if the settings have some, and other scopes are refused."""
    with service_at(url, clock=clock, api_key_scopes=("reports", "invoices:read")) as service:
        client = browser(Identity(service))
        client.post("/register", data=ANN)
        assert "With spaces between them: invoices:read reports" in words(client.get(NEW))
        refused = client.post(NEW, data=FIELDS | {"scopes": "reports payroll"})
        assert (refused.status_code, Page(refused).field("scopes")["value"]) == (403, "reports payroll")
        text = create(client, scopes="reports  invoices:read")
        assert verify(service, text).scopes == {"read", "write", "reports", "invoices:read"}


# --- refusals of the form


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "n" * 201}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"kind": ""}, "kind"),
        ({"kind": "rt"}, "kind"),
        ({"kind": "sk_live_"}, "kind"),
        ({"expires_in_days": "0"}, "expires_in_days"),
        ({"expires_in_days": "3651"}, "expires_in_days"),
        ({"expires_in_days": "-1"}, "expires_in_days"),
        ({"expires_in_days": "\u0667"}, "expires_in_days"),
        ({"expires_in_days": "7 days"}, "expires_in_days"),
        ({"scopes": " ".join(f"s{number}" for number in range(65))}, "scopes"),
        ({"scopes": 'a"b'}, "scopes"),
        ({"scopes": "s" * 65}, "scopes"),
    ],
)
def test_a_wrong_field_is_named(ann, service, fields, field):
    """A wrong field gets the form again with 422 and a link to the field, and no key is stored."""
    response = ann.post(NEW, data=FIELDS | {"name": "Kept"} | fields)
    assert response.status_code == 422
    page = Page(response)
    assert f"#{field}" in [link["href"] for link in page.all("a")]
    assert page.field("read") is not None
    assert response.headers["content-type"].startswith("text/html")
    assert rows(service, "api_keys") == []


@pytest.mark.parametrize("fields", [{"tier": "enterprise"}, {"read": "no"}, {"key": "x"}, {"metadata": "{}"}])
def test_fields_of_no_form_are_refused(ann, service, fields):
    """Fields that the form does not have are refused with 422."""
    assert ann.post(NEW, data=FIELDS | fields).status_code == 422
    assert rows(service, "api_keys") == []


def test_a_field_that_came_twice_is_refused(ann, service):
    """A field that came twice is refused with 422."""
    data = {"name": "Robot", "kind": ["sk_live", "sk_test"]}
    assert ann.post(NEW, data=data).status_code == 422
    assert rows(service, "api_keys") == []


def test_text_of_a_form_is_only_text(ann):
    """Markup in a name is shown as text, in the list, on its page and in a refused form."""
    name = '"><script>alert(1)</script>'
    create(ann, name=name)
    listed = ann.get(KEYS)
    shown = ann.get(f"{KEY}?key={first_key(ann)}")
    refused = ann.post(NEW, data=FIELDS | {"name": name, "kind": "x"})
    for page in (listed, shown, refused):
        assert "&lt;script&gt;" in page.text
        assert not Page(page).all("script")


def test_too_many_keys_are_said(ann, service):
    """A key beyond the maximum of an owner is refused with 409 and the reason."""
    create(ann)
    (key,) = keys_of(service)
    fill_up(service, key, MAX_KEYS - 1)
    response = ann.post(NEW, data=FIELDS)
    assert (response.status_code, "too many API keys" in words(response)) == (409, True)


def fill_up(service, key, count, **changes):
    """Store more keys of the owner of a key."""
    with service.database.write() as connection:
        for number in range(count):
            key_id = f"key_{key.id[4:20]}{len(changes)}{number:019d}"
            insert_key(connection, replace(key, id=key_id, readable_id=f"{number:016d}"))
            if changes:
                update_key(connection, key_id, **changes)


# --- the list


def test_the_list_shows_each_key(app, ann, service, clock):
    """The list shows name, first twelve characters, scopes, tier, state, times and uses of a key."""
    text = create(ann)
    shown = words(ann.get(KEYS))
    assert f"Nightly export active {text[:12]}… · read, write · free" in shown
    assert "Created 15 January 2027, 08:00 UTC · expires 15 April 2027, 08:00 UTC · never used" in shown
    assert call(app, text) == 200
    service.api_key_verifier.recorder.flush()
    shown = words(ann.get(KEYS))
    assert "used 1 time, last 15 January 2027, 08:00 UTC" in shown
    assert "Today 1 of 1,000 requests This month 1 requests" in shown


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("expires_at = {now} + 86400", "expiring"),
        ("expires_at = {now} - 1", "expired"),
        ("disabled_at = {now}", "disabled"),
        ("revoked_at = {now}", "revoked"),
    ],
)
def test_the_list_shows_states(ann, service, clock, change, state):
    """The list shows the state of a key, and has a section of ended ones."""
    create(ann)
    update(service, f"UPDATE api_keys SET {change.format(now=clock.now)}")
    page = ann.get(KEYS)
    assert f"Nightly export {state}" in words(page)
    assert ("Keys that have ended" in words(page)) is (state in ("expired", "revoked"))


def test_the_list_has_nothing_of_others(app, ann):
    """Another owner sees no key of Ann's, in the list or by its id."""
    create(ann)
    key_id = first_key(ann)
    bob = browser(app)
    bob.post("/register", data=ANN | {"email": "bob@example.com"})
    assert "You have no key that can be used." in words(bob.get(KEYS))
    assert key_id not in bob.get(KEYS).text
    assert bob.get(f"{KEY}?key={key_id}").status_code == 404
    for path, fields in ((f"{KEY}/rotate", ROTATE), (f"{KEY}/revoke", {"confirm": "yes"})):
        assert bob.post(path, data={"key": key_id} | fields).status_code == 404
    assert "Nightly export active" in words(ann.get(KEYS))


@pytest.mark.slow
def test_the_longest_list_is_bounded(ann, service):
    """The page with the maximum of keys has less than 200 KB."""
    create(ann)
    (key,) = keys_of(service)
    fill_up(service, replace(key, name="n" * 200), MAX_KEYS - 1)
    fill_up(service, replace(key, name="n" * 200), MAX_DEAD_KEYS, revoked_at=key.created_at)
    page = ann.get(KEYS)
    assert page.text.count('<li class="row') == MAX_KEYS + MAX_DEAD_KEYS
    assert len(page.content) < 200_000

"""The list of sessions in pages: `limit` and `cursor`, a Link field, and an index for each page."""

import re

import pytest
from sqlalchemy import event, text
from starlette.testclient import TestClient

from authguard.identity import Identity
from authguard.identity.model import Place
from authguard.identity.storage.session_pages import list_session_page
from authguard.identity.tokens.cursors import Cursors
from identity.many import add_sessions
from identity.support import ANN, CALLER, ISSUER, NOW, PASSWORD, settings

pytestmark = pytest.mark.slow_on_postgresql


@pytest.fixture
def user(service):
    """Return the account of Ann, with 24 sessions."""
    user = service.accounts.create(ANN["email"], PASSWORD)
    add_sessions(service, user.id, 24)
    return user


@pytest.fixture
def client(service, user):
    """Return a client that is signed in as Ann, with the 25th session."""
    client = TestClient(Identity(service), base_url=ISSUER)
    token = service.accounts.login(ANN["email"], PASSWORD, CALLER).access_token
    client.headers["authorization"] = f"Bearer {token}"
    return client


def read(client, query=""):
    """Return the ids on a page."""
    response = client.get(f"/v1/users/me/sessions{query}")
    assert response.status_code == 200, response.text
    return [each["id"] for each in response.json()]


def follow(client, query):
    """Return the ids on each page, as a client follows the links."""
    url, pages = f"/v1/users/me/sessions{query}", []
    while url is not None:
        response = client.get(url)
        assert response.status_code == 200, response.text
        pages.append([each["id"] for each in response.json()])
        link = response.links.get("next")
        url = None if link is None else str(response.url.join(link["url"]))
    return pages


def cursor_of(client, limit=5):
    """Return the cursor of the second page."""
    link = client.get(f"/v1/users/me/sessions?limit={limit}").headers["link"]
    return re.search(r"cursor=([\w-]+)>", link)[1]


def test_a_request_without_parameters_gets_all_sessions_and_no_link(client):
    """A request without parameters gets all 25 sessions and no Link field."""
    response = client.get("/v1/users/me/sessions")
    assert len(response.json()) == 25
    assert "link" not in response.headers


@pytest.mark.parametrize("limit", [1, 2, 5, 24, 25, 100])
def test_the_pages_together_are_the_list(client, limit):
    """The pages together are the list, in its order, and no page is longer than its limit."""
    pages = follow(client, f"?limit={limit}")
    assert [each for page in pages for each in page] == read(client)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert 1 <= len(pages[-1]) <= limit


def test_a_session_that_begins_meanwhile_moves_no_other(client, service, user):
    """The second page does not change when a session begins or ends before it."""
    query = f"?limit=5&cursor={cursor_of(client)}"
    before, first = read(client, query), read(client, "?limit=5")
    service.accounts.issue_tokens(user.id)
    service.sessions.end_now([first[-1]])
    assert read(client, query) == before


@pytest.mark.one_database
@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=101", "limit=-1", "limit=1.5", "limit=", "limit=ten", "limit=٣", "limit=1&limit=2",
        "limit=" + "9" * 5000, "cursor=", "cursor=x", "cursor=%00", "cursor=" + "A" * 256, "cursor=ä",
        "cursor=" + "A" * 4000,
    ],
)  # fmt: skip
def test_malformed_parameters_are_refused(client, query):
    """A malformed or repeated parameter is refused with 422 and its name."""
    response = client.get(f"/v1/users/me/sessions?{query}")
    assert response.status_code == 422
    assert response.json()["code"] == "invalid_fields"
    assert [error["field"] for error in response.json()["errors"]] == [query.partition("=")[0]]


@pytest.mark.slow
def test_a_cursor_has_one_spelling(client):
    """A cursor with any character changed, removed or added is refused."""
    cursor = cursor_of(client)
    others = {cursor + "A", cursor + "=", cursor[:-1], ""}
    for index, character in enumerate(cursor):
        others.add(cursor[:index] + ("B" if character == "A" else "A") + cursor[index + 1 :])
    for other in others - {cursor}:
        assert client.get("/v1/users/me/sessions", params={"cursor": other}).status_code == 422, other


def test_a_cursor_of_another_account_is_refused(client, service):
    """A cursor of another account is refused."""
    bob = service.accounts.create("bob@example.com", PASSWORD)
    add_sessions(service, bob.id, 6)
    token = service.accounts.issue_tokens(bob.id).access_token
    bobs = TestClient(Identity(service), base_url=ISSUER, headers={"authorization": f"Bearer {token}"})
    response = client.get(f"/v1/users/me/sessions?cursor={cursor_of(bobs)}")
    assert response.status_code == 422
    assert len(follow(bobs, "?limit=2")) == 4


def test_a_cursor_is_good_while_the_secret_is_changed(url):
    """During a change of the secret a cursor of the previous secret is accepted, and not afterwards."""
    place, new = Place(is_older=True, created_at=NOW, id="x"), "an0ther-Secret-of-enough-bytes-5Kp2"
    cursor = Cursors(settings(url)).issue("list", place)
    both = settings(url, secret=new, previous_secret=settings(url).secret)
    assert Cursors(both).parse("list", cursor) == place
    with pytest.raises(Exception, match="cursor"):
        Cursors(settings(url, secret=new)).parse("list", cursor)


@pytest.mark.one_database
def test_the_link_is_relative_to_the_request(client):
    """The Link field is relative to the request, so that it fits each prefix and proxy."""
    link = client.get("/api/v1/users/me/sessions?limit=5").headers["link"]
    assert re.fullmatch(r'<\?limit=5&cursor=[\w-]+>; rel="next"', link)


@pytest.mark.slow
@pytest.mark.parametrize("direction", [None, True, False])
def test_a_page_is_read_from_the_index(service, user, direction):
    """A page is read by an index, without a sort and without rows of ended sessions."""
    add_sessions(service, service.accounts.create("bob@example.com", PASSWORD).id, 3000)
    add_sessions(service, user.id, 3000, ended_at=NOW)
    place = None if direction is None else Place(direction, NOW - 4995, "x")
    plan = explain(service, user.id, place)
    assert "ix_sessions_alive" in plan
    assert "sort" not in plan.lower()
    assert "temp" not in plan.lower()
    assert not re.search(r"scan (on )?sessions", plan.lower().replace("index scan", ""))


def explain(service, user_id, place):
    """Return the plan of the statement that reads a page."""
    sent = []

    def note(connection, cursor, statement, parameters, *rest):
        sent.append((statement, parameters))

    engine = service.database.engine
    if service.database.is_sqlite is False:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE sessions"))
    event.listen(engine, "before_cursor_execute", note)
    with engine.connect() as connection:
        list_session_page(connection, user_id, NOW, limit=6, place=place, except_id="y")
        event.remove(engine, "before_cursor_execute", note)
        statement, parameters = sent[-1]
        prefix = "EXPLAIN QUERY PLAN " if service.database.is_sqlite else "EXPLAIN "
        rows = connection.exec_driver_sql(prefix + statement, parameters).all()
    return "\n".join(str(row[-1]) for row in rows)


def test_providers_are_listed_once(service, user, client):
    """Two accounts at one provider are listed as one, with the older date."""
    with service.database.write() as connection:
        for subject, at in (("1", NOW - 9), ("2", NOW)):
            connection.execute(
                text("INSERT INTO linked_identities VALUES ('github', :subject, :user, :at, true)"),
                {"subject": subject, "user": user.id, "at": at},
            )
    (entry,) = client.get("/v1/users/me/identities").json()
    assert entry == {"provider": "github", "linked_at": "2027-01-15T07:59:51Z"}

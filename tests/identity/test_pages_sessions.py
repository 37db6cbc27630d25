"""The sessions on the page of an account: the current one, and twenty others a page."""

import re

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from authguard.identity.pages.account import PAGE_SIZE
from authguard.identity.storage import queries as store
from authguard.identity.storage.schema import sessions
from authguard.identity.usecases.sessions import MAX_SESSIONS
from identity.many import add_sessions
from identity.support import ANN, ISSUER, NOW, Page, browser

pytestmark = pytest.mark.slow_on_postgresql

AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36"


@pytest.fixture
def many(ann, service):
    """Give Ann as many sessions as an account may have."""
    with service.database.read() as connection:
        user, _ = store.find_user_by_address(connection, ANN["email"])
    add_sessions(service, user.id, MAX_SESSIONS - 1, user_agent=AGENT)
    return ann


def ids(response):
    """Return the sessions that a page can end."""
    return [each["value"] for each in Page(response).all("input") if each.get("name") == "session"]


def links(response):
    """Return the links to other pages, by `rel`."""
    return {each["rel"]: each["href"] for each in Page(response).all("a") if "rel" in each}


def walk(client, response, rel):
    """Return the first page, and the pages that its links lead to, one after the other."""
    pages = [response]
    while rel in links(pages[-1]):
        pages.append(client.get(links(pages[-1])[rel]))
        assert pages[-1].status_code == 200
    return pages


@pytest.mark.slow
@pytest.mark.one_database
def test_a_page_of_a_hundred_sessions_is_small(app, ann, clock):
    """With the maximum of sessions no page has more than 20 KB."""
    client = TestClient(app, base_url=ISSUER, headers={"user-agent": AGENT})
    for _ in range(MAX_SESSIONS - 1):
        clock.go_on(1)
        assert client.post("/v1/auth/login", json=ANN).status_code == 200
    pages = walk(ann, ann.get("/account"), "next")
    assert len(pages) == 5
    assert max(len(page.content) for page in pages) <= 20_000


def test_each_session_is_on_one_page(many):
    """The pages have each of the 99 other sessions once, in the order of the API."""
    pages = walk(many, many.get("/account"), "next")
    token = many.cookies["access_token"]
    api = many.get("/v1/users/me/sessions", headers={"authorization": f"Bearer {token}", "cookie": ""})
    expected = [each["id"] for each in api.json() if not each["current"]]
    assert [each for page in pages for each in ids(page)] == expected
    assert [len(ids(page)) for page in pages] == [PAGE_SIZE] * 4 + [19]


def test_the_own_session_is_first_on_each_page(many, service):
    """The current session is first on each page, although it is the oldest."""
    with service.database.write() as connection:
        connection.execute(
            update(sessions).where(sessions.c.user_agent != AGENT).values(created_at=NOW - 9000)
        )
    pages = walk(many, many.get("/account"), "next")
    assert len(pages) == 5
    for page in pages:
        entries = page.text.partition('aria-labelledby="sessions"')[2].split('<li class="row">')
        assert "this browser" in entries[1]
        assert page.text.count("this browser") == 1


@pytest.mark.slow
def test_newer_leads_back(many):
    """The links to newer sessions lead back over the same pages."""
    there = walk(many, many.get("/account"), "next")
    back = walk(many, there[-1], "prev")
    assert [ids(page) for page in back[::-1]] == [ids(page) for page in there]
    assert set(links(back[-1])) == {"next"}


def test_few_sessions_have_no_links(ann):
    """A page with few sessions has no navigation."""
    page = ann.get("/account")
    assert links(page) == {}
    assert "Pages of sessions" not in page.text


@pytest.mark.slow
@pytest.mark.one_database
def test_links_have_names_and_a_place(many):
    """The navigation has a label, and its links have names and lead to the heading of the list."""
    second = walk(many, many.get("/account"), "next")[1]
    assert {"class": "pager", "aria-label": "Pages of sessions"} in Page(second).all("nav")
    assert "Newer sessions Older sessions" in Page(second).words
    assert all(link.endswith("#sessions") for link in links(second).values())
    assert 'id="sessions"' in second.text


@pytest.mark.slow
def test_ending_a_session_shows_the_same_page(many):
    """Ending a session on the second page leads back to that page, without the session."""
    second = walk(many, many.get("/account"), "next")[1]
    cursor = Page(second).field("cursor")["value"]
    ended = ids(second)[3]
    response = many.post("/account/sessions/end", data={"session": ended, "cursor": cursor})
    assert response.headers["location"] == f"/account?notice=ended&cursor={cursor}"
    again = many.get(response.headers["location"])
    assert ids(again)[:19] == [session_id for session_id in ids(second) if session_id != ended]


def test_a_page_whose_sessions_have_ended_is_the_first(app, many, service):
    """A cursor without further sessions shows the newest ones."""
    last = walk(many, many.get("/account"), "next")[-1]
    service.sessions.end_now(ids(last))
    again = many.get(str(last.url))
    assert ids(again) == ids(many.get("/account"))


def test_an_expired_page_is_carried_on(many, clock):
    """A browser that gets new cookies is sent to the requested page of sessions."""
    link = links(many.get("/account"))["next"].partition("#")[0]
    clock.go_on(28_801)
    response = many.get(link)
    assert response.headers["location"] == link


@pytest.mark.one_database
@pytest.mark.parametrize("cursor", ["x", "", "A" * 5000, "%3Cscript%3E"])
def test_a_malformed_cursor_is_refused(ann, cursor):
    """A malformed cursor gets a page with 422, which does not repeat the cursor."""
    response = ann.get(f"/account?cursor={cursor}")
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("text/html")
    assert "<script" not in response.text
    assert "This link belongs to no list of your sessions" in Page(response).words
    assert "unknown fields" not in response.text


def test_a_cursor_of_somebody_else_is_refused(app, many):
    """A cursor of another account is refused with 422."""
    cursor = re.search(r"cursor=([\w-]+)", many.get("/account").text)[1]
    bob = browser(app)
    bob.post("/register", data=ANN | {"email": "bob@example.com"})
    assert bob.get(f"/account?cursor={cursor}").status_code == 422

"""The pages of another address and of deleting the account, as a browser sees them."""

import pytest

from authguard.identity import SocialIdentity
from identity.people import EMAIL
from identity.support import ANN, PASSWORD, Page, browser

pytestmark = pytest.mark.one_database  # pages

NEXT = "ann@new.example"


@pytest.fixture
def link(app, ann, postbox):
    """Ask for another address by the page; the path of the link in the mail."""
    answer = ann.post("/account/email", data={"new_email": NEXT, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?notice=new-address")
    assert app.service.outbox.flush()
    (mail,) = [each for each in postbox.mails if each.to == NEXT]
    return "/change-email?token=" + mail.text.partition("token=")[2].split()[0]


def follow(client, link):
    """Follow a link of a mail; the page after the redirect that takes the token out of the URL."""
    first = client.get(link)
    assert (first.status_code, first.headers["location"]) == (303, "/change-email")
    return client.get("/change-email")


def test_in_the_browser_that_is_signed_in(ann, link):
    """One press changes the address; a second one is told the same."""
    page = follow(ann, link)
    assert NEXT in Page(page).words and not any(
        each.get("name") == "password" for each in Page(page).all("input")
    )
    answer = ann.post("/change-email")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?notice=address-changed")
    assert NEXT in ann.get("/account").text
    again = follow(ann, link)
    assert (again.status_code, again.headers["location"]) == (303, "/account?notice=address-changed")


def test_in_another_browser_it_asks_for_the_password(app, link):
    """The address of before is not shown there."""
    other = browser(app)
    page = follow(other, link)
    assert EMAIL not in page.text and Page(page).field("password")["autocomplete"] == "current-password"
    for data in ({}, {"password": "wrong"}):
        refused = other.post("/change-email", data=data)
        assert refused.status_code == 422 and Page(refused).field("password")
    answer = other.post("/change-email", data={"password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?notice=address-changed")


@pytest.mark.parametrize(
    "path", ["/change-email", "/change-email?token=wrong", "/change-email?token=a&token=b"]
)
def test_without_a_link_it_says_what_to_do(app, path):
    """No form that cannot succeed."""
    client = browser(app)
    client.get(path)
    page = Page(client.get("/change-email"))
    assert "follow the link" in page.words and page.all("form") == []
    assert client.post("/change-email").status_code == 400


@pytest.mark.parametrize("path", ["/change-email", "/account/email", "/account/delete"])
def test_forms_of_other_sites_do_nothing(app, ann, link, path):
    """Each of the three needs proof that a page of this site sent it."""
    follow(ann, link)
    data = {"new_email": "eve@example.com", "password": PASSWORD}
    answer = ann.post(path, data=data, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert app.service.accounts.find(EMAIL) is not None


def test_the_form_shows_what_is_wrong(ann):
    """The address that was typed stays, the password does not."""
    answer = ann.post("/account/email", data={"new_email": "nobody", "password": PASSWORD})
    page = Page(answer)
    assert answer.status_code == 422
    assert page.field("new_email")["value"] == "nobody" and "value" not in page.field("password")
    assert "This is not an e-mail address." in page.words


def test_deleting(app, ann):
    """It asks for the password, says that it cannot be undone, and signs the browser out."""
    page = Page(ann.get("/account/delete"))
    assert EMAIL in page.words and "for good" in page.words
    assert ann.post("/account/delete", data={"password": "wrong"}).status_code == 422
    answer = ann.post("/account/delete", data={"password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?notice=deleted")
    assert "Your account was deleted." in ann.get(answer.headers["location"]).text
    assert ann.get("/account").status_code == 303
    assert app.service.accounts.find(EMAIL) is None


@pytest.mark.parametrize("page", ["/account/delete", "/account/email"])
def test_without_a_password_an_old_sign_in_is_renewed(app, service, clock, page):
    """The button leads to signing in again, and back; the form has no field for a password."""
    tokens = service.sign_in_with(SocialIdentity("op", "1", "sue@example.com", True))
    client = browser(app)
    client.cookies.set("access_token", tokens.access_token)
    assert not any(each.get("name") == "password" for each in Page(client.get(page)).all("input"))
    clock.go_on(601)
    answer = client.post(page, data={"new_email": NEXT})
    assert answer.status_code in (303, 422)
    if page == "/account/delete":
        answer = client.post(page)
    assert answer.headers["location"] == f"/login?next={page.replace('/', '%2F')}&max_age=600"
    assert ANN["email"] not in answer.text

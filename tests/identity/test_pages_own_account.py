"""The pages to change the address and to delete the account."""

import pytest

from authguard.identity import SocialIdentity
from identity.people import EMAIL
from identity.support import ANN, PASSWORD, Page, browser

pytestmark = pytest.mark.one_database  # pages do not depend on the database

NEXT = "ann@new.example"


@pytest.fixture
def link(app, ann, postbox):
    """Ask for another address by the page, and return the path of the mailed link."""
    answer = ann.post("/account/email", data={"new_email": NEXT, "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/account?notice=new-address")
    assert app.service.outbox.flush()
    (mail,) = [each for each in postbox.mails if each.to == NEXT]
    return "/change-email?token=" + mail.text.partition("token=")[2].split()[0]


def follow(client, link):
    """Follow a mailed link, and return the page after the redirect that removes the token."""
    first = client.get(link)
    assert (first.status_code, first.headers["location"]) == (303, "/change-email")
    return client.get("/change-email")


def test_in_the_browser_that_is_signed_in(ann, link):
    """In the signed-in browser one press changes the address, and a second visit gets the same answer."""
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
    """In another browser the page asks for the password, and does not show the old address."""
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
    """Without a valid link the page asks the user to follow the link, and has no form."""
    client = browser(app)
    client.get(path)
    page = Page(client.get("/change-email"))
    assert "follow the link" in page.words and page.all("form") == []
    assert client.post("/change-email").status_code == 400


@pytest.mark.parametrize("path", ["/change-email", "/account/email", "/account/delete"])
def test_forms_of_other_sites_do_nothing(app, ann, link, path):
    """A form from another site is refused with 403."""
    follow(ann, link)
    data = {"new_email": "eve@example.com", "password": PASSWORD}
    answer = ann.post(path, data=data, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    assert app.service.accounts.find(EMAIL) is not None


def test_the_form_shows_what_is_wrong(ann):
    """A refused change of address keeps the new address in the form, and not the password."""
    answer = ann.post("/account/email", data={"new_email": "nobody", "password": PASSWORD})
    page = Page(answer)
    assert answer.status_code == 422
    assert page.field("new_email")["value"] == "nobody" and "value" not in page.field("password")
    assert "This is not an e-mail address." in page.words


def test_deleting(app, ann):
    """Deleting the account needs the password, and signs the browser out."""
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
    """Without a password and with an old sign-in, the page sends the browser to a new sign-in."""
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

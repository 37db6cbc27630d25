"""Each form acts on the link or the account of its page, although other tabs show other ones."""

import re
from urllib.parse import urlencode

import pytest

from identity.people import NEW
from identity.support import ANN, PASSWORD, Page, browser
from identity.test_pages_security import routes

pytestmark = pytest.mark.one_database  # pages do not depend on the database

BEN = {"email": "ben@example.com", "password": PASSWORD}
#: Requests of another site: a link that the user follows, a frame, and a picture.
CROSS_SITE = [
    {"sec-fetch-site": "cross-site", "sec-fetch-mode": mode, "sec-fetch-dest": kind}
    for mode, kind in (("navigate", "document"), ("navigate", "iframe"), ("no-cors", "image"))
]
#: Pages with forms about the account, and those that need the id of a key.
PAGES = ("/account", "/account/password", "/account/email", "/account/delete", "/account/keys/new")


class Tab:
    """Show one page of a browser, whose cookies all tabs share."""

    def __init__(self, client, path):
        self._client = client
        response = client.get(path)
        while response.status_code == 303:
            response = client.get(response.headers["location"])
        assert response.status_code == 200, response.text
        self.response, self.words = response, Page(response).words

    def press(self, action, index=0, **typed):
        """Send a form of the page with exactly its own fields and the typed ones."""
        forms = re.findall(
            r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', self.response.text, re.DOTALL
        )
        html = [inside for target, inside in forms if target == action][index]
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', html))
        body = urlencode(hidden | typed)
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self._client.post(action, content=body, headers=kind)


def location(response):
    assert response.status_code == 303, response.text
    return response.headers["location"]


def register(app, who):
    """Register in a browser of its own."""
    assert browser(app).post("/register", data=who).status_code == 303


def signs_in(app, who, password=PASSWORD):
    return browser(app).post("/login", data={**who, "password": password}).status_code == 303


@pytest.fixture
def people(app):
    """Register Ann and Ben."""
    for who in (ANN, BEN):
        register(app, who)


@pytest.fixture
def link(app, service, postbox, people):
    """Return a function that returns the path in the newest mail to an address."""

    def newest(page, who):
        if page == "/reset-password":
            browser(app).post("/forgot-password", data={"email": who["email"]})
        assert service.outbox.flush()
        mails = [mail for mail in postbox.mails if mail.to == who["email"] and f"{page}?token=" in mail.text]
        return page + "?token=" + mails[-1].text.partition("token=")[2].split()[0]

    return newest


@pytest.fixture
def change_link(app, service, postbox, people):
    """Return a function that requests another address for a person, and returns the path of the link."""

    def newest(who):
        client = browser(app)
        client.post("/login", data=who)
        data = {"new_email": "new-" + who["email"], "password": PASSWORD}
        assert client.post("/account/email", data=data).status_code == 303
        assert service.outbox.flush()
        (mail,) = [mail for mail in postbox.mails if mail.to == "new-" + who["email"]]
        return "/change-email?token=" + mail.text.partition("token=")[2].split()[0]

    return newest


# --- links


@pytest.mark.slow
def test_declining_closes_the_account_that_the_page_shows(app, link):
    """The button closes the shown account, though another link was followed afterwards."""
    client = browser(app)
    client.post("/login", data=BEN)
    about_ann = Tab(client, link("/verify-email", ANN))
    Tab(client, link("/verify-email", BEN))
    assert "ann@example.com" in about_ann.words
    answer = about_ann.press("/verify-email/decline")
    assert "The account of ann@example.com was closed." in Page(answer).words
    assert not signs_in(app, ANN) and signs_in(app, BEN)


@pytest.mark.slow
def test_verifying_with_a_new_password_sets_that_of_the_account_that_the_page_shows(app, link):
    """The new password is that of the shown account, and the other link stays valid in its tab."""
    client = browser(app)
    about_ann, about_ben = (Tab(client, link("/verify-email", who)) for who in (ANN, BEN))
    assert (
        location(about_ann.press("/verify-email", 1, new_password=NEW)) == "/login?notice=verified-password"
    )
    assert signs_in(app, ANN, NEW) and signs_in(app, BEN)
    assert "ben@example.com" in Tab(client, "/verify-email").words
    assert location(about_ben.press("/verify-email", password=PASSWORD)) == "/login?notice=verified"


@pytest.mark.slow
@pytest.mark.parametrize("fetch", CROSS_SITE, ids=lambda fetch: fetch["sec-fetch-dest"])
def test_a_link_of_another_site_does_not_change_an_open_form(app, link, fetch):
    """Another site that opens its own link in the browser gets no new password of the user."""
    client = browser(app)
    about_ann = Tab(client, link("/reset-password", ANN))
    client.get(link("/reset-password", BEN), headers=fetch)
    assert location(about_ann.press("/reset-password", new_password=NEW)) == "/login?notice=password-reset"
    assert signs_in(app, ANN, NEW) and not signs_in(app, ANN)
    assert signs_in(app, BEN) and not signs_in(app, BEN, NEW)


@pytest.mark.slow
def test_the_reset_page_names_its_account(app, link):
    """The page for a new password shows whose it will be, also after a refused password."""
    client = browser(app)
    tab = Tab(client, link("/reset-password", ANN))
    client.get(link("/reset-password", BEN))
    refused = tab.press("/reset-password", new_password="weak")
    assert refused.status_code == 422
    for words in (tab.words, Page(refused).words):
        assert "account of ann@example.com" in words and "ben@" not in words
    assert "account of ben@example.com" in Tab(client, "/reset-password").words


@pytest.mark.slow
def test_changing_the_address_of_the_account_that_the_page_shows(app, change_link):
    """The password of the account that both tabs accept changes the address that the page shows."""
    links = change_link(ANN), change_link(BEN)
    client = browser(app)
    about_ann, _ = (Tab(client, link) for link in links)
    assert "new-ann@example.com" in about_ann.words
    answer = about_ann.press("/change-email", password=PASSWORD)
    assert location(answer) == "/login?notice=address-changed"
    assert signs_in(app, ANN | {"email": "new-ann@example.com"}) and signs_in(app, BEN)


@pytest.mark.slow
@pytest.mark.parametrize("sealed", ["", "x", "é", "gAAAAA" + "A" * 134])
def test_a_form_without_a_valid_link_does_nothing(app, link, sealed):
    """The cookie alone uses no link up."""
    client = browser(app)
    Tab(client, link("/reset-password", ANN))
    Tab(client, link("/verify-email", BEN))
    for path in ("/reset-password", "/verify-email", "/verify-email/decline", "/change-email"):
        answer = client.post(path, data={"link": sealed, "new_password": NEW})
        assert answer.status_code in (400, 422)
    assert signs_in(app, ANN) and signs_in(app, BEN)
    assert "account of ann@example.com" in Tab(client, "/reset-password").words


def test_the_link_of_a_form_expires(app, service, clock, link):
    """The field of a form is no longer valid than the link."""
    tab = Tab(browser(app), link("/reset-password", ANN))
    clock.go_on(service.settings.link_lifetime + 1)
    assert tab.press("/reset-password", new_password=NEW).status_code == 400


def test_the_field_of_one_kind_of_link_is_none_of_another_kind(app, link):
    """The field of the form that verifies an address sets no password by the other page."""
    client = browser(app)
    html = Tab(client, link("/verify-email", ANN)).response
    sealed = Page(html).field("link")["value"]
    answer = client.post("/reset-password", data={"link": sealed, "new_password": NEW})
    assert answer.status_code == 400 and signs_in(app, ANN)


# --- the answer to a link of another account


def test_verifying_another_account_names_it(app, link):
    """In a browser that is signed in to another account, the answer names the verified address."""
    client = browser(app)
    client.post("/login", data=BEN)
    path = link("/verify-email", ANN)
    tab = Tab(client, path)
    first, again = tab.press("/verify-email", password=PASSWORD), tab.press("/verify-email")
    client.get(path)
    for answer in (first, again, client.get("/verify-email")):
        words = Page(answer).words
        assert "The address ann@example.com of another account is verified." in words
        assert "as ben@example.com" in words and "Your e-mail address" not in words


@pytest.mark.slow
def test_changes_of_another_account_name_it(app, link, change_link):
    """A new password or address of another account is reported with its address."""
    path = change_link(ANN)
    client = browser(app)
    client.post("/login", data=BEN)
    answer = Tab(client, path).press("/change-email", password=PASSWORD)
    assert "The address of the other account is new-ann@example.com now." in Page(answer).words
    answer = Tab(client, link("/reset-password", ANN | {"email": "new-ann@example.com"})).press(
        "/reset-password", new_password=NEW
    )
    assert "The password of new-ann@example.com was changed." in Page(answer).words
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize("notice", ["verified", "password-reset", "closed", "deleted", "logged-out"])
def test_the_page_of_a_signed_in_visitor_claims_nothing_about_the_account(ann, notice):
    """A link with a notice does not make the sign-in page report a change to a signed-in visitor."""
    words = Page(ann.get(f"/login?notice={notice}")).words
    assert "as ann@example.com Continue" in words


# --- pages of a session


@pytest.fixture
def shared(app, people):
    """Return a browser in which Ann is signed in, and a function that signs Ben in, in another tab."""
    client = browser(app)
    client.post("/login", data=ANN)
    return client, lambda: client.post("/login", data=BEN)


def test_deleting_deletes_only_the_account_that_the_page_shows(app, shared):
    """After another sign-in the form deletes nothing, and the page of the present account explains that."""
    client, sign_in_ben = shared
    tab = Tab(client, "/account/delete")
    assert "The account of ann@example.com is deleted" in tab.words
    sign_in_ben()
    answer = tab.press("/account/delete", password=PASSWORD)
    assert location(answer) == "/account/delete?notice=other-account"
    after = Tab(client, location(answer))
    assert "Nothing was done: that page was about another account." in after.words
    assert "signed in as ben@example.com now" in after.words
    assert "The account of ben@example.com is deleted" in after.words
    assert signs_in(app, ANN) and signs_in(app, BEN)
    assert location(after.press("/account/delete", password=PASSWORD)) == "/login?notice=deleted"
    assert signs_in(app, ANN) and not signs_in(app, BEN)


def test_a_new_session_of_the_same_account_may_send_an_old_form(shared):
    """A form is for the account, and not for the session that its page was loaded in."""
    client, _ = shared
    tab = Tab(client, "/account/password")
    client.post("/login", data=ANN)
    answer = tab.press("/account/password", current_password=PASSWORD, new_password=NEW)
    assert location(answer) == "/account?notice=password-changed"


#: Forms that act on no account: `logout` ends the session of the browser, and `file` returns a sent key.
NO_ACCOUNT = {"/logout", "/account/keys/file"}
#: Forms that act on typed fields alone.
TYPED = {"/login", "/register", "/forgot-password", "/verify-email/resend"}


@pytest.mark.slow
@pytest.mark.parametrize("account", [None, "", "x", "{ann}"])
def test_each_form_of_a_session_refuses_another_account(app, shared, account):
    """Each path for forms of a signed-in visitor does nothing without the account of the session."""
    client, sign_in_ben = shared
    ann = client.account
    sign_in_ben()
    paths = [path for path in routes(app, "POST") if "/account" in path and path not in NO_ACCOUNT]
    assert len(paths) >= 12
    for path in paths:
        fields = {"password": PASSWORD, "current_password": PASSWORD, "new_password": NEW, "confirm": "yes"}
        if account is not None:
            fields["account"] = account.format(ann=ann)
        body, kind = urlencode(fields), {"content-type": "application/x-www-form-urlencoded"}
        answer = client.post(path, content=body, headers=kind)
        page, _, query = location(answer).partition("?")
        assert query == "notice=other-account", path
        assert "Nothing was done" in Page(client.get(f"{page}?{query}")).words, page
    assert client.post("/account/logout-all", content=b"").status_code == 303
    assert signs_in(app, BEN) and client.get("/account").status_code == 200


@pytest.mark.slow
def test_each_form_of_a_page_names_its_account_or_link(app, service, shared, link, change_link):
    """Each form of each page has the field of its account or link, or acts on none."""
    client, _ = shared
    client.post("/account/keys/new", data={"name": "Robot", "kind": "sk_live", "read": "yes"})
    key = re.findall(r"\?key=([\w-]+)", client.get("/account/keys").text)[0]
    tabs = [Tab(client, path) for path in (*PAGES, f"/account/keys/key?key={key}")]
    client.post("/account/keys/key/disable", data={"key": key})
    tabs.append(Tab(client, f"/account/keys/key?key={key}"))
    stranger = browser(app)
    for path in (link("/verify-email", ANN), link("/reset-password", ANN), change_link(BEN)):
        tabs += [Tab(stranger, path), Tab(client, path)]
    actions = set()
    for tab in tabs:
        for action, html in re.findall(
            r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', tab.response.text, re.DOTALL
        ):
            actions.add(action)
            name = "account" if "/account" in action else "link"
            needed = 0 if action in NO_ACCOUNT | TYPED else 1
            assert html.count(f'<input type="hidden" name="{name}" value="') == needed, action
    # Ann has no provider and no second session.
    unseen = {"/account/providers/unlink", "/account/sessions/end", *NO_ACCOUNT, *TYPED}
    assert actions | unseen == set(routes(app, "POST"))


def test_signing_out_ends_the_session_of_the_browser(app, shared):
    """A page of another account signs the browser out, too."""
    client, sign_in_ben = shared
    tab = Tab(client, "/account")
    sign_in_ben()
    assert location(tab.press("/logout")) == "/login?notice=logged-out"
    assert location(client.get("/account")).startswith("/login")


def test_a_new_key_can_be_downloaded_after_another_sign_in(shared):
    """The download of a shown key needs any session, because a refusal would lose the key."""
    client, sign_in_ben = shared
    shown = client.post("/account/keys/new", data={"name": "Robot", "kind": "sk_live", "read": "yes"})
    text = re.findall(r"sk_live_\w{60,}", shown.text)[0]
    sign_in_ben()
    assert client.post("/account/keys/file", data={"key": text}).text == f"{text}\n"


def test_the_notice_of_another_account_needs_a_visitor(app):
    """Without a visitor the notice is not shown."""
    assert "Nothing was done" not in browser(app).get("/login?notice=other-account").text

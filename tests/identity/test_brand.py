"""The brand of pages and mails: its elements, the policy for its logo, and the contrast of its colours."""

import re

import pytest

from authguard import ConfigurationError
from authguard.identity import Identity, Settings
from authguard.identity.brand import DARK_BACKS, LIGHT_BACKS, MIN_CONTRAST, contrast, lightened, parse_brand
from authguard.identity.pages import views
from identity.support import ANN, CALLER, ISSUER, PASSWORD, SECRET, Page, browser, service_at

pytestmark = pytest.mark.one_database  # pages do not depend on the database

BRAND = {
    "logo_url": "https://cdn.example.com/logo.svg",
    "home_url": "https://app.example.com/",
    "color": "#0a5c36",
    "terms_url": "https://example.com/terms",
    "privacy_url": "https://example.com/privacy?lang=en",
}


@pytest.fixture
def branded(url, postbox, clock):
    with service_at(url, clock=clock, postbox=postbox, brand=BRAND, product_name="Acme") as service:
        yield service


def styles(client, page):
    """Return the style sheets of a page, in their order."""
    links = [each["href"] for each in page.all("link") if each["rel"] == "stylesheet"]
    answers = [client.get(link) for link in links]
    assert {each.headers["content-type"] for each in answers} == {"text/css; charset=utf-8"}
    assert all("immutable" in each.headers["cache-control"] for each in answers)
    return [each.text for each in answers]


@pytest.mark.slow
def test_pages_have_name_logo_and_links(branded):
    """Each page has the name, the logo and the links of the brand, and no inline style."""
    client = browser(Identity(branded))
    for path in ("/login", "/register", "/nothing"):
        answer = client.get(path)
        page = Page(answer)
        assert answer.text.partition("<title>")[2].partition("</title>")[0].endswith("– Acme")
        assert [each["src"] for each in page.all("img")] == [BRAND["logo_url"]]
        links = {each["href"] for each in page.all("a")}
        assert {BRAND["home_url"], BRAND["terms_url"], BRAND["privacy_url"]} <= links
        assert "Back to Acme" in page.words and "Imprint" not in page.words
        assert "style=" not in answer.text and "<style" not in answer.text


def test_the_policy_allows_the_logo_alone(branded):
    """The content security policy allows the logo's URL, and nothing else of its host."""
    client = browser(Identity(branded))
    for path in ("/login", "/nothing"):
        policy = client.get(path).headers["content-security-policy"]
        assert "img-src 'self' https://cdn.example.com/logo.svg;" in policy
        assert "style-src 'self';" in policy and policy.startswith("default-src 'none'")


def test_colours_come_in_a_file(branded):
    """The colours of the brand are in a second style sheet, for light and dark pages."""
    client = browser(Identity(branded))
    style, brand = styles(client, Page(client.get("/login")))
    assert "--button" in style
    assert re.match(r":root\{--accent:#0a5c36;--button:#0a5c36;--button-over:#[0-9a-f]{6};", brand)
    assert "prefers-color-scheme: dark" in brand


def test_the_colours_of_the_style_are_those_that_are_looked_at():
    """Contrasts are measured with the backgrounds of the style sheet, in light and dark."""
    light, dark = views._read("style.css").decode().split("prefers-color-scheme: dark")[:2]
    for part, backs in ((light, LIGHT_BACKS), (dark, DARK_BACKS)):
        assert tuple(re.search(rf"--{name}: (#\w+)", part)[1] for name in ("page", "card")) == backs


def test_without_a_brand_nothing_changes(app):
    """Without a brand a page has no second style sheet, no footer and the default policy."""
    client = browser(app)
    answer = client.get("/login")
    assert len(styles(client, Page(answer))) == 1
    assert "<footer" not in answer.text and "127.0.0.1:8000" in answer.text
    assert answer.headers["content-security-policy"] == views.HEADERS["content-security-policy"]


def test_mails_have_name_and_links(branded, postbox):
    """Mails have the name and the links of the brand below the signature separator."""
    branded.accounts.register(ANN["email"], PASSWORD, "", CALLER)
    assert branded.outbox.flush()
    (mail,) = postbox.mails
    assert mail.subject.startswith("Acme: ")
    foot = mail.text.partition("\n-- \n")[2].splitlines()
    assert foot == ["Acme", f"Terms: {BRAND['terms_url']}", f"Privacy: {BRAND['privacy_url']}"]


@pytest.mark.slow
def test_a_logo_of_the_same_site(url, clock):
    """A logo at a path of the service leaves the policy unchanged."""
    with service_at(url, clock=clock, brand={"logo_url": "/static/logo.png"}) as service:
        answer = browser(Identity(service)).get("/login")
    assert Page(answer).all("img")[0]["src"] == "/static/logo.png"
    assert "img-src 'self';" in answer.headers["content-security-policy"]


def test_by_a_variable():
    """The variable of the brand has names and values, separated by commas."""
    variables = {"AUTHGUARD_SECRET": SECRET, "AUTHGUARD_ISSUER": ISSUER}
    text = "color=#0a5c36, terms_url=https://example.com/terms?a=b"
    read = Settings.from_env({**variables, "AUTHGUARD_BRAND": text})
    assert read.brand == {"color": "#0a5c36", "terms_url": "https://example.com/terms?a=b"}


@pytest.mark.parametrize(
    ("brand", "text"),
    [
        ("Acme", "brand must be a mapping"),
        ({"colour": "#000"}, "brand must be a table with some of logo_url"),
        ({"color": "red"}, "brand: color must be a colour of CSS such as #0a5c36"),
        ({"color": "#12345"}, "brand: color must be a colour of CSS"),
        ({"color": "#000;}body{display:none"}, "brand: color must be a colour of CSS"),
        ({"color": 7}, "brand: color must be a colour of CSS"),
        ({"color": "#ffcc00"}, "color must have a contrast of 4.5 with #f4f6f9, the background of links"),
        ({"color": "#000000", "dark_color": "#222222"}, "choose a lighter colour"),
        ({"dark_color": "#ffffff"}, "color must be there as well as dark_color"),
        ({"logo_url": "http://cdn.example.com/logo.svg"}, "logo_url must be https"),
        ({"logo_url": "//cdn.example.com/logo.svg"}, "logo_url must be a URL"),
        ({"logo_url": "https://a.example/x;script-src *"}, "logo_url must be a URL without white space"),
        ({"logo_url": "https://a.example/x,y"}, "logo_url must be a URL without white space"),
        ({"terms_url": "javascript:alert(1)"}, "terms_url must be a URL"),
        ({"terms_url": "/terms"}, "terms_url must be a URL"),
        ({"privacy_url": None}, "privacy_url must be a URL"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(brand, text):
    """A wrong brand is refused when the settings are built, with the attribute and advice."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(secret=SECRET, issuer=ISSUER, brand=brand)
    assert text in str(caught.value)


@pytest.mark.parametrize("color", ["#0a5c36", "#000", "#7a0000", "#2f5bd0", "#6b2fb3", "#767676"])
def test_text_can_be_read(color):
    """A colour is refused, or its text has enough contrast on buttons and as a link."""
    try:
        brand = parse_brand({"color": color})
    except ConfigurationError:
        assert min(contrast(color, back) for back in LIGHT_BACKS) < MIN_CONTRAST
        return
    for part, backs in zip(brand.style.split("@media"), (LIGHT_BACKS, DARK_BACKS), strict=True):
        results = dict(re.findall(r"--([\w-]+):(#\w+);", part))
        assert contrast(results["button"], results["on-button"]) >= MIN_CONTRAST
        assert contrast(results["button-over"], results["on-button"]) >= MIN_CONTRAST
        assert all(contrast(results["accent"], back) >= MIN_CONTRAST for back in backs)


@pytest.mark.parametrize(
    ("first", "two", "ratio"), [("#000", "#fff", 21), ("#777777", "#ffffff", 4.48), ("#f00", "#ffffff", 4.0)]
)
def test_contrast_is_that_of_wcag(first, two, ratio):
    """Contrasts are equal to published values."""
    assert contrast(first, two) == pytest.approx(ratio, abs=0.01) == contrast(two, first)


def test_a_colour_that_can_be_read_already_stays():
    """A colour with enough contrast is not lightened."""
    assert lightened("#9dbaff", DARK_BACKS) == "#9dbaff"

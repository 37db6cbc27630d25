"""The page of the usage of a key: charts without scripts, tables, and its access."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from authguard.identity.pages.usage_charts import HEIGHT, by_rule, chart_of
from authguard.identity.storage.usage_queries import add_batch
from authguard.identity.storage.usage_series import Period
from identity.key_pages import KEY, create, first_key, keys_of, words
from identity.support import Page
from identity.usage_support import batch

pytestmark = pytest.mark.one_database  # pages do not depend on the database

USAGE = "/account/keys/usage"
DAY = 86_400
NOON = datetime(2027, 1, 15, 12, tzinfo=UTC).timestamp()


def used(service: Any, clock: Any, key_id: str) -> None:
    """Store uses of a key on two days, of which some are refused."""
    clock.now = NOON
    for ago, outcome, rule, count in (
        (0, "ok", "/a", 1_234),
        (0, "revoked", "<script>", 7),
        (3_600, "ok", "/a", 100),
        (29 * DAY, "forbidden", "GET /b", 3),
        (30 * DAY, "ok", "/too/old", 9),
    ):
        add_batch(service.database, batch((key_id, count), at=NOON - ago, outcome=outcome, rule=rule))


def test_the_page_shows_days_and_hours(ann, service, clock):
    """The page shows accepted and refused requests by days and hours, as charts with texts and as tables."""
    create(ann)
    key_id = first_key(ann)
    used(service, clock, key_id)
    response = ann.get(f"{USAGE}?key={key_id}")
    assert response.status_code == 200
    page = Page(response)
    assert page.all("script") == []
    days, hours = page.all("svg")
    for chart, name in ((days, "days"), (hours, "hours")):
        assert chart["role"] == "img"
        assert chart["aria-labelledby"] == f"{name}-title {name}-desc"
    ids = {each.get("id") for tag in ("title", "desc") for each in page.all(tag)}
    assert ids >= {"days-title", "days-desc", "hours-title", "hours-desc"}
    assert "1,334 passed, 10 refused. Most requests: 1,341 (15 January)." in page.words
    assert "1,334 passed, 7 refused. Most requests: 1,241 (15 January, 12:00 UTC)." in page.words
    assert "15 January: 1,334 passed, 7 refused" in response.text
    assert len(page.all("rect")) == 3 + 3
    assert "17 December</th><td>0</td><td>3</td>" in response.text
    assert "<code>GET /b</code></th><td>forbidden</td><td>3</td>" in response.text
    assert "&lt;script&gt;" in response.text
    assert "/too/old" not in response.text


def test_a_key_that_was_not_used(ann):
    """The charts of an unused key are empty, and their texts say that."""
    create(ann)
    page = Page(ann.get(f"{USAGE}?key={first_key(ann)}"))
    assert page.all("rect") == []
    assert page.words.count("There were no requests.") == 5  # of each chart its text and its description


def test_the_page_of_the_key_leads_there(ann):
    """The page of a key links to the page of its usage, and back."""
    create(ann)
    key_id = first_key(ann)
    links = [each["href"] for each in Page(ann.get(f"{KEY}?key={key_id}")).all("a")]
    assert f"{USAGE}?key={key_id}" in links
    links = [each["href"] for each in Page(ann.get(f"{USAGE}?key={key_id}")).all("a")]
    assert f"{KEY}?key={key_id}" in links


@pytest.mark.parametrize(
    "query", ["", "?key=", "?key=key_x", "?key=%00", "?key=a&key=b", f"?key={'x' * 999}"]
)
def test_no_key(ann, query):
    """A missing, unknown or repeated id of a key is 404."""
    assert ann.get(USAGE + query).status_code == 404


def test_a_key_of_another_account(ann, service, app):
    """A key of another account is 404."""
    from identity.api_key_support import create as create_key
    from identity.api_key_support import owner

    other = create_key(service, owner(service, "bob@example.com"))
    assert ann.get(f"{USAGE}?key={other.key.id}").status_code == 404


def test_a_revoked_key_has_a_page(ann, service, clock):
    """A revoked key has a page of its usage."""
    create(ann)
    key_id = first_key(ann)
    used(service, clock, key_id)
    ann.post(f"{KEY}/revoke", data={"key": key_id, "confirm": "yes"})
    assert keys_of(service)[0].revoked_at is not None
    assert "revoked" in words(ann.get(f"{USAGE}?key={key_id}"))


def test_visitors_sign_in_first(app):
    """A browser without a session is sent to the login page."""
    from identity.support import browser

    response = browser(app).get(f"{USAGE}?key=x")
    assert (response.status_code, response.headers["location"]) == (
        303,
        "/login?next=%2Faccount%2Fkeys%2Fusage",
    )


# --- charts


def period(start: int, uses: int, outcome: str = "ok", rule: str = "/a") -> Period:
    return Period(start, 1, rule, outcome, uses)


def test_bars_stand_on_the_ground_and_stay_inside():
    """The bars of a chart begin at its bottom and stay inside, and a single request is visible."""
    starts = [number * DAY for number in range(30)]
    periods = [period(0, 10**12), period(0, 1, "invalid"), period(DAY, 1), period(2 * DAY, 10**12, "expired")]
    chart = chart_of("days", starts, periods)
    for bar in chart.bars:
        assert bar.ok_y + bar.ok_height == pytest.approx(HEIGHT)
        assert bar.refused_y + bar.refused_height == pytest.approx(bar.ok_y)
        assert bar.refused_y >= 0
        assert bar.x + chart.bar_width <= chart.width
        assert (bar.ok_height >= 1) == (bar.ok > 0)
        assert (bar.refused_height >= 1) == (bar.refused > 0)
    assert (chart.most, len(chart.bars)) == (10**12 + 1, 30)


def test_all_generations_and_rules_are_in_one_bar():
    """A bar has the uses of all generations and rules of its period, and of no other period."""
    periods = [period(0, 2), Period(0, 2, "/b", "ok", 3), period(0, 4, "disabled"), period(99, 5)]
    (bar,) = chart_of("hours", [0], periods).bars
    assert (bar.ok, bar.refused, bar.label) == (5, 4, "1 January, 00:00 UTC")


def test_the_busiest_rules_come_first():
    """The table has at most 50 pairs of rule and outcome, those with the most uses first."""
    periods = [period(start, number, rule=f"/{number}") for number in range(1, 61) for start in (0, DAY)]
    rules = by_rule(periods)
    assert len(rules) == 50
    assert rules[0] == ("/60", "ok", 120)
    assert re.match("/1", rules[-1][0])

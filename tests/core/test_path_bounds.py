"""Bounds of the work that one path can cause, in characters and visited places, never in time."""

import unicodedata
from collections.abc import Iterator
from itertools import product
from types import SimpleNamespace

import pytest

from authguard import Rule
from authguard._core.policy import paths
from authguard._core.policy.paths import (
    MAX_ODD_PATH,
    MAX_PATH,
    MAX_READ_CHARACTERS,
    MAX_SEGMENTS,
    TooMuchWorkError,
    WorkBudget,
    is_canonical,
    readings,
)
from authguard._core.policy.policy import MAX_VISITS, Policy
from authguard._core.policy.rules import Requirement
from sizes import size

EVERYTHING = (Requirement(["x"]), Requirement(roles=["y"]))


def policy(*more):
    """Return a policy with two different requirements."""
    return Policy([Rule("/a", scopes=["x"]), Rule("/b", roles=["y"]), *more], ["/public"])


@pytest.fixture
def counted(monkeypatch):
    """Count the characters that are looked up in the tables of Unicode, and the texts that are normalized."""
    count = SimpleNamespace(characters=0, longest=0, texts=[])

    def normalize(form, text):
        done = unicodedata.normalize(form, text)
        count.characters += len(text) + len(done)
        count.longest = max(count.longest, len(text))
        count.texts.append(text)
        return done

    def category(char):
        count.characters += 1
        return unicodedata.category(char)

    counting = SimpleNamespace(
        normalize=normalize, category=category, is_normalized=unicodedata.is_normalized
    )
    monkeypatch.setattr(paths, "unicodedata", counting)
    return count


UNITS = {
    "one-becomes-18": "\ufdfa",
    "one-becomes-18-and-odd": "\ufdfa\\;//./%253f%2523?#",
    "marks-in-wrong-order": "\u0301\u0316",
    "three-marks": "\u0345\u0301\u0316",
    "marks-kept-apart": "\u0345\u200d\u0301\u200d\u0316\u200d",
    "hangul": "\u1112\u1161\u11ab",
    "sharp-s": "ß",
    "dotted-i": "İ",
    "kanji": "日",
    "square": "㌀",
    "ligature": "ﬃ/",
    "odd-ascii": "a\\;//./%253f%2523?#",
    "parameters": "a;/",
    "semicolons": ";",
    "dots": "a/../",
    "dot": "./",
    "slashes": "//",
    "backslashes": "\\",
    "delimiters": "?a#b/",
    "percent-u": "%u5c2f",
    "percent-u-to-18": "%ufdfa",
    "percent-twice": "%252525",
    "utf-8-in-percent": "%EF%B7%BA",
    "surrogates": "\ud800",
    "nul": "\x00",
    "segments": "a/",
    "capitals": "A/",
    "spaces": "a /",
    "invisible": "\u200b",
}
LENGTHS = [40, 200, 1000, MAX_ODD_PATH, 4096, MAX_PATH, 65_536, 262_144]


ROOT_PATHS = ["", "/app", "/" + "\ufdfa" * 900, "/" + "é" * 65_536]


def mounted() -> Iterator[tuple[str, int, str]]:
    """Yield each unit and length with one mount point in turn, or with all of them."""
    for place, (unit, length) in enumerate(product(UNITS, LENGTHS)):
        for number in range(size(1, len(ROOT_PATHS))):
            # The number of lengths is a multiple of the number of mount points, so the units shift the turn.
            yield unit, length, ROOT_PATHS[(place + place // len(LENGTHS) + number) % len(ROOT_PATHS)]


@pytest.mark.parametrize(
    ("unit", "length", "root_path"),
    [pytest.param(*case, id=f"{case[0]}-{case[1]}-{len(case[2])}") for case in mounted()],
)
def test_the_work_for_a_path_is_bounded(counted, unit, length, root_path):
    """The number of characters that are normalized and looked up for any path has an upper bound."""
    text = UNITS[unit]
    path = ("/" + text * (length // len(text) + 1))[:length]
    assert policy().find("GET", path, root_path).protected
    # One reading, one folded mount point, and each expansion before it is refused.
    assert counted.characters <= 2 * MAX_READ_CHARACTERS + 40 * MAX_ODD_PATH
    assert counted.longest <= 18 * MAX_ODD_PATH


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("length", LENGTHS)
def test_the_readings_are_bounded(unit, length):
    """The readings of a path have a bounded number of characters together, or the path is refused."""
    text = UNITS[unit]
    path = ("/" + text * (length // len(text) + 1))[:length]
    try:
        result = readings(path)
    except TooMuchWorkError:
        return
    assert length <= MAX_ODD_PATH
    assert sum(map(len, result)) <= MAX_READ_CHARACTERS


@pytest.mark.parametrize(
    "path",
    [
        "/public/" + "\ufdfa" * 57 + ";",
        "/public//" + "\ufdfa" * 1000 + "\\;//./%253f%2523?#",
        "/public//" + "㌀" * 300,
        "/public//" + "%ufdfa" * 100,
        "/public//" + "%EF%B7%BA" * 100,
        "/public//" + "%25EF%25B7%25BA" * 60,
        "/public//" + "a\\;//./%253f%2523?#" * 50,
        "/public//" + "x" * MAX_ODD_PATH,
    ],
    ids=lambda path: ascii(path)[9:25],
)
def test_a_path_that_grows_too_long_asks_for_everything(path):
    """A path that is too long, as it was sent or after an expansion, has all requirements."""
    verdict = policy().find("GET", path)
    assert (verdict.protected, verdict.requirements, verdict.optional) == (True, EVERYTHING, None)
    assert verdict.reason == "an odd path, too long to be read in every way"


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/" + "a" * (MAX_PATH - 1), True),
        ("/" + "a" * MAX_PATH, False),
        ("/" + "é" * (MAX_ODD_PATH - 1), True),
        ("/" + "é" * MAX_ODD_PATH, False),
        ("/" + "a " * (MAX_ODD_PATH // 2) + "a", False),
        ("/a" * MAX_SEGMENTS, True),
        ("/a" * (MAX_SEGMENTS + 1), False),
        ("/é" * MAX_SEGMENTS, True),
        ("/é" * (MAX_SEGMENTS + 1), False),
    ],
    ids=lambda value: f"{ascii(value)[:8]}-{len(value)}" if isinstance(value, str) else str(value),
)
def test_a_canonical_path_is_bounded(path, canonical):
    """A canonical path is bounded by its length and its segments, and more strictly outside of ASCII."""
    assert is_canonical(path) is canonical


@pytest.mark.parametrize(
    "path",
    ["/public/" + "a" * MAX_PATH, "/public/" + "é" * MAX_ODD_PATH, "/public" + "/word" * MAX_SEGMENTS],
    ids=["long", "not-ascii", "segments"],
)
def test_a_plain_path_beyond_the_bounds_is_not_public(path):
    """A plain path beyond the bounds is not public, and has all requirements."""
    assert policy().find("GET", path).requirements == EVERYTHING


@pytest.mark.parametrize("root_path", ["/" + "a" * MAX_ODD_PATH, "/" + "\ufdfa" * 9000, "/app" * 60_000])
def test_a_mount_point_beyond_the_bounds_asks_for_everything(root_path):
    """A mount point beyond the bounds, which a proxy may have set, has all requirements."""
    assert policy().find("GET", "/public", root_path).requirements == EVERYTHING


def test_each_distinct_segment_is_folded_once(counted):
    """Each distinct segment is folded once for all forms of the path."""
    assert ("straße".casefold(), "x") in readings("/straße;a=b//c\\..//x?y#z%2525")
    assert counted.texts.count("straße") == 1


def test_a_text_that_decoding_leaves_alone_is_read_once(counted):
    """A text that decoding does not change is read once."""
    readings("/é//x")
    assert sorted(counted.texts) == ["/é//x", "é", "é"]  # the path, and twice its segment while folding


STARS = [Rule(f"/**/a/**/b{number}/**/c", scopes=[f"s{number}"]) for number in range(120)]


@pytest.mark.parametrize(
    "path",
    [
        "/x/a/" + "/".join(f"b{number}/a" for number in range(120)),
        "/x//a/" + "/".join(f"b{number}/a" for number in range(120)),
    ],
    ids=["canonical", "odd"],
)
def test_the_places_visited_are_bounded(path):
    """A path that matches many rules with `**` at once has all requirements."""
    verdict = policy(*STARS).find("GET", path)
    assert len(verdict.requirements) == 122
    assert verdict.reason == "an odd path, too long to be read in every way"


@pytest.mark.parametrize("segments", [10_000, 100_000])
@pytest.mark.parametrize("word", ["a", "A", "a;", ".", "é", "b1"])
def test_many_segments_are_not_looked_up(segments, word):
    """A path with many segments is looked up neither in the tree of rules nor in a reading."""
    verdict = policy(*STARS).find("GET", f"/{word}" * segments)
    assert len(verdict.requirements) == 122


def test_an_ordinary_path_is_far_from_the_bounds():
    """An ordinary path has the requirement of its rule, also with many rules with `**`."""
    verdict = policy(*STARS).find("GET", "/x/a/y/b7/z/c")
    assert verdict.requirements == (Requirement(["s7"]),)


def test_a_rule_is_told_once():
    """A rule with `**` is listed once, although `**` matches each of the segments."""
    tree = Policy(["/**/x"], None)._protected
    assert len(tree.covering(("x",) * 200, "GET", WorkBudget(MAX_VISITS))) == 1


@pytest.mark.parametrize(("letter", "is_read"), [("e", True), ("é", False)])
def test_segments_beyond_ascii_cost_more(letter, is_read):
    """A segment outside of ASCII costs more, so that a path is refused that is read in ASCII."""
    path = "/" + "".join(f"{letter}{number}%2523{letter}{number}E%2f" for number in range(100))[:1020]
    if is_read:
        assert len(readings(path)) > 1
    else:
        with pytest.raises(TooMuchWorkError):
            readings(path)


def test_a_budget_is_spent_to_the_last():
    """A budget is spent to the last unit, and the next one raises."""
    budget = WorkBudget(3)
    budget.spend(3)
    with pytest.raises(TooMuchWorkError):
        budget.spend(1)


def test_long_paths_are_not_kept():
    """The memory of verdicts has an upper bound in characters for any paths."""
    own_policy = policy()
    for number in range(2000):
        own_policy.find("GET", f"/public/{number}/" + "x" * 600)
        own_policy.find("GET" * 200, f"/{number}")
        own_policy.find("GET", f"/{number}", "/" + "y" * 600)
        own_policy.find("GET", f"/{number}" + "z" * 20_000)
    assert len(own_policy.memory) == 0
    kept = [*own_policy._long_paths.young, *own_policy._long_paths._old]
    assert len(kept) <= 16
    assert all(len(method) + len(path) + len(root) <= 16_384 for method, path, root in kept)


@pytest.mark.parametrize(
    ("size", "in_memory", "once"),
    [(512, True, True), (513, False, True), (16_384, False, True), (16_385, False, False)],
)
def test_the_longest_paths_that_are_kept(size, in_memory, once):
    """Paths up to 512 characters are kept with the others, and up to 16,384 for the time of a request."""
    own_policy = policy()
    key = ("GET", "/public/".ljust(size - 3, "x"), "")
    verdict = own_policy.find(*key)
    assert (own_policy.memory.get(key) is verdict) is in_memory
    kept = [*own_policy.memory.young.values(), *own_policy._long_paths.young.values()]
    assert any(each is verdict for each in kept) is once


def test_a_long_path_is_decided_once_for_a_request():
    """A long path is decided once for a request, whose steps ask several times."""
    own_policy, path = policy(), "/public/" + "x" * 5000
    assert own_policy.find("GET", path) is own_policy.find("GET", path)

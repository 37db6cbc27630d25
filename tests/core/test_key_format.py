"""The text of API keys: what is made is well-formed, and nothing else is."""

import random
import re
import string
import time
from collections.abc import Callable, Iterator

import pytest

from authguard._core.credential.key_format import MAX_KEY, KeyFormat, readable_id_of
from authguard.errors import ConfigurationError
from sizes import size

PREFIXES = ("sk_live_", "sk_test_", "claw_", "ak_")
CHECK_SECRET = "0nly-tests-Check-4Tz"
FORMATS = {"crc32": KeyFormat(PREFIXES), "hmac": KeyFormat(PREFIXES, check_secret=CHECK_SECRET)}
ALPHABET = string.ascii_letters + string.digits


@pytest.fixture(name="keys", params=FORMATS)
def _keys(request: pytest.FixtureRequest) -> KeyFormat:
    return FORMATS[request.param]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_new_key_is_well_formed(keys: KeyFormat, prefix: str) -> None:
    """It has a prefix, an id, a secret and a check, and no other characters than [A-Za-z0-9_]."""
    text = keys.make(prefix)
    assert re.fullmatch(rf"{prefix}[0-9A-Za-z]{{16}}_[0-9A-Za-z]{{43}}_[0-9A-Za-z]{{6}}", text)
    assert keys.is_well_formed(text)


def test_the_readable_id_is_in_the_text(keys: KeyFormat) -> None:
    """A log or a mail can name the key by it."""
    text = keys.make("claw_", "0123456789abcDEF")
    assert text.startswith("claw_0123456789abcDEF_")
    assert readable_id_of(text) == "0123456789abcDEF"


def test_no_two_keys_are_alike(keys: KeyFormat) -> None:
    """Ids and secrets are random."""
    texts = {keys.make("ak_") for _ in range(1_000)}
    assert len({text.split("_")[1] for text in texts}) == len({text.split("_")[2] for text in texts}) == 1_000


def test_every_place_of_a_secret_is_random() -> None:
    """43 of 62 characters hold 32 bytes and hardly more."""
    secrets = [FORMATS["crc32"].make("ak_").split("_")[2] for _ in range(3_000)]
    assert min(len(set(place)) for place in zip(*secrets, strict=True)) >= 60


def mutations(text: str, rng: random.Random) -> Iterator[str]:
    """One changed, dropped, doubled and swapped character, anywhere."""
    place = rng.randrange(len(text))
    other = rng.choice(ALPHABET + "_-. é")
    if other != text[place]:
        yield text[:place] + other + text[place + 1 :]
    yield text[:place] + text[place + 1 :]
    yield text[:place] + text[place] + text[place:]
    second = rng.randrange(len(text))
    if text[place] != text[second]:
        swapped = list(text)
        swapped[place], swapped[second] = swapped[second], swapped[place]
        yield "".join(swapped)
    near = rng.randrange(len(text) - 1)
    if text[near] != text[near + 1]:
        yield text[:near] + text[near + 1] + text[near] + text[near + 2 :]


def test_a_mistyped_key_is_noticed(keys: KeyFormat) -> None:
    """One changed, dropped, doubled or swapped character, of 10^5 keys."""
    rng = random.Random(17)
    for _ in range(size(2_000, 100_000)):
        text = keys.make(rng.choice(PREFIXES))
        for mistyped in mutations(text, rng):
            assert not keys.is_well_formed(mistyped)


VARIANTS: dict[str, Callable[[str], str]] = {
    "lower case": str.lower,
    "upper case": str.upper,
    "space after": lambda text: text + " ",
    "space before": lambda text: " " + text,
    "line break": lambda text: text + "\n",
    "hyphens": lambda text: text.replace("_", "-"),
    "no prefix": lambda text: text.removeprefix("sk_live_"),
    "another prefix": lambda text: "sk_test_" + text.removeprefix("sk_live_"),
    "full-width digits": lambda text: text.translate(
        {ord(digit): 0xFEE0 + ord(digit) for digit in "0123456789"}
    ),
    "nothing": lambda text: "",
    "no check": lambda text: text[:-7],
    "twice": lambda text: text + "_" + text,
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_of_a_key_is_none(keys: KeyFormat, variant: str) -> None:
    """Case, white space, full-width digits, another prefix."""
    text = keys.make("sk_live_", "a0b1c2d3e4f5G6H7")
    assert not keys.is_well_formed(VARIANTS[variant](text))


def test_text_of_the_right_shape_is_no_key(keys: KeyFormat) -> None:
    """Random strings, 10^6 of them."""
    rng = random.Random(17)
    for _ in range(size(20_000, 1_000_000)):
        body = "".join(rng.choices(ALPHABET, k=65))
        assert not keys.is_well_formed(f"sk_live_{body[:16]}_{body[16:59]}_{body[59:]}")


def test_an_outsider_cannot_make_a_check() -> None:
    """With a secret for it; without one it is a plain checksum."""
    assert not FORMATS["hmac"].is_well_formed(FORMATS["crc32"].make("ak_"))
    other = KeyFormat(PREFIXES, check_secret=CHECK_SECRET + "x")
    assert not FORMATS["hmac"].is_well_formed(other.make("ak_"))


def test_longer_keys_are_read(keys: KeyFormat) -> None:
    """A later format may have a longer id; texts beyond the bound are refused unread."""
    longer = keys.make("ak_", "i" * 400)
    assert keys.is_well_formed(longer)
    assert len(keys.make("ak_", "i" * 460)) > MAX_KEY
    assert not keys.is_well_formed(keys.make("ak_", "i" * 460))


GARBAGE = {
    "underscores": "_" * MAX_KEY,
    "no end of the id": "ak_" + "a" * (MAX_KEY - 3),
    "many ids": "ak_" + ("a" * 16 + "_") * 29,
    "many prefixes": "ak_" * (MAX_KEY // 3),
    "no end of the secret": "sk_live_" + "a" * 16 + "_" + "b" * 400,
    "too long": "a" * 16_000,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_known_as_such_at_once(keys: KeyFormat, name: str) -> None:
    """No text makes the check slow: far below a millisecond, on any machine."""
    text = GARBAGE[name]
    best = min(_seconds(keys, text) for _ in range(20))
    assert not keys.is_well_formed(text)
    assert best < 200e-6


def _seconds(keys: KeyFormat, text: str) -> float:
    started = time.perf_counter()
    keys.is_well_formed(text)
    return time.perf_counter() - started


def test_the_pattern_is_for_scanners() -> None:
    """It finds keys in a text, and nothing around them."""
    text = FORMATS["crc32"].make("claw_")
    pattern = re.compile(FORMATS["crc32"].pattern)
    assert pattern.findall(f'key = "{text}" # {text}') == [text, text]
    assert not pattern.search(text.replace("claw_", "clew_"))


@pytest.mark.parametrize("prefix", ["", "a", "ak", "_ak_", "1k_", "a-k_", "ak__", "ä_", 7, "x" * 32 + "_"])
def test_an_odd_prefix_is_refused(prefix) -> None:
    """Letters, digits and underscores, one at the end."""
    with pytest.raises(ConfigurationError, match="each of prefixes must"):
        KeyFormat([prefix])


def test_a_prefix_may_not_begin_with_another() -> None:
    """A key would be of two kinds."""
    with pytest.raises(ConfigurationError, match="one kind of keys"):
        KeyFormat(["sk_", "sk_live_"])


def test_a_weak_check_secret_is_refused() -> None:
    """And it is not shown."""
    with pytest.raises(ConfigurationError, match="at least 16") as error:
        KeyFormat(PREFIXES, check_secret="hunter2")
    assert "hunter2" not in str(error.value)


def test_a_format_has_a_prefix() -> None:
    """Without any prefix no key could be told from other text."""
    with pytest.raises(ConfigurationError, match="prefixes must name at least one"):
        KeyFormat([])


def test_keys_are_made_with_prefixes_of_the_format(keys: KeyFormat) -> None:
    """A key with another prefix would be refused by the format that made it."""
    with pytest.raises(ValueError, match="prefix must be one of the format"):
        keys.make("pk_")


def test_a_format_shows_no_secret(keys: KeyFormat) -> None:
    """Its repr has the prefixes alone."""
    assert repr(keys) == "KeyFormat(['sk_live_', 'sk_test_', 'claw_', 'ak_'])"

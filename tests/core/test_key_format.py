"""The format of API keys: each generated key is well-formed, and no other text is."""

import random
import re
import string
import time
from collections.abc import Callable, Iterator

import pytest

from authguard._core.credential.key_format import MAX_KEY, KeyFormat, looks_like_key, readable_id_of
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
    """A new key has a prefix, an id, a secret and a check, of the characters [A-Za-z0-9_] alone."""
    text = keys.make(prefix)
    assert re.fullmatch(rf"{prefix}[0-9A-Za-z]{{16}}_[0-9A-Za-z]{{43}}_[0-9A-Za-z]{{6}}", text)
    assert keys.is_well_formed(text)


@pytest.mark.parametrize("prefix", [*PREFIXES, "clsk_", "acme_prod_"])
def test_a_key_looks_like_one(prefix: str) -> None:
    """A key with any prefix, and a random text with a usual prefix, looks like a key."""
    assert looks_like_key(KeyFormat([prefix]).make(prefix))
    assert looks_like_key("sk_test_" + "a-b_C4" * 7)


@pytest.mark.parametrize(
    "text",
    [
        "key_550e8400-e29b-41d4-a716-446655440000", "665f1a2b3c4d5e6f7a8b9c0d", "sk_live_abcd",
        "ak_123456789", "sk_live_billing", "the_production_server_of_frankfurt",
        "1f0a5e9d8b4c", "", "sk_live_" + "é" * 40,
    ],
)  # fmt: skip
def test_an_id_or_a_name_does_not_look_like_a_key(text: str) -> None:
    """The id of an API document, the beginning of a key or a chosen name does not look like a key."""
    assert not looks_like_key(text)


def test_the_readable_id_is_in_the_text(keys: KeyFormat) -> None:
    """The text of a key contains its readable id."""
    text = keys.make("claw_", "0123456789abcDEF")
    assert text.startswith("claw_0123456789abcDEF_")
    assert readable_id_of(text) == "0123456789abcDEF"


def test_no_two_keys_are_alike(keys: KeyFormat) -> None:
    """The ids and the secrets of a thousand keys are all different."""
    texts = {keys.make("ak_") for _ in range(1_000)}
    assert len({text.split("_")[1] for text in texts}) == len({text.split("_")[2] for text in texts}) == 1_000


def test_every_place_of_a_secret_is_random() -> None:
    """Each place of a secret takes nearly all 62 characters."""
    secrets = [FORMATS["crc32"].make("ak_").split("_")[2] for _ in range(3_000)]
    assert min(len(set(place)) for place in zip(*secrets, strict=True)) >= 60


def mutations(text: str, rng: random.Random) -> Iterator[str]:
    """Yield the text with one character changed, dropped, doubled or swapped."""
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
    """A key with one changed, dropped, doubled or swapped character is not well-formed."""
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
    """A key in another case, with white space or with another prefix is not well-formed."""
    text = keys.make("sk_live_", "a0b1c2d3e4f5G6H7")
    assert not keys.is_well_formed(VARIANTS[variant](text))


def test_text_of_the_right_shape_is_no_key(keys: KeyFormat) -> None:
    """Random texts of the right shape are not well-formed."""
    rng = random.Random(17)
    for _ in range(size(20_000, 1_000_000)):
        body = "".join(rng.choices(ALPHABET, k=65))
        assert not keys.is_well_formed(f"sk_live_{body[:16]}_{body[16:59]}_{body[59:]}")


def test_an_outsider_cannot_make_a_check() -> None:
    """A check without the secret, or with another secret, is not well-formed."""
    assert not FORMATS["hmac"].is_well_formed(FORMATS["crc32"].make("ak_"))
    other = KeyFormat(PREFIXES, check_secret=CHECK_SECRET + "x")
    assert not FORMATS["hmac"].is_well_formed(other.make("ak_"))


def test_longer_keys_are_read(keys: KeyFormat) -> None:
    """A key with a longer id is well-formed up to the maximal length."""
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
    """The check of garbage takes less than 200 microseconds."""
    text = GARBAGE[name]
    best = min(_seconds(keys, text) for _ in range(20))
    assert not keys.is_well_formed(text)
    assert best < 200e-6


def _seconds(keys: KeyFormat, text: str) -> float:
    started = time.perf_counter()
    keys.is_well_formed(text)
    return time.perf_counter() - started


def test_the_pattern_is_for_scanners() -> None:
    """The pattern finds each key in a text, and nothing around it."""
    text = FORMATS["crc32"].make("claw_")
    pattern = re.compile(FORMATS["crc32"].pattern)
    assert pattern.findall(f'key = "{text}" # {text}') == [text, text]
    assert not pattern.search(text.replace("claw_", "clew_"))


@pytest.mark.parametrize("prefix", ["", "a", "ak", "_ak_", "1k_", "a-k_", "ak__", "ä_", 7, "x" * 32 + "_"])
def test_an_odd_prefix_is_refused(prefix) -> None:
    """A prefix must have letters, digits and underscores, and one underscore at the end."""
    with pytest.raises(ConfigurationError, match="each of prefixes must"):
        KeyFormat([prefix])


def test_a_prefix_may_not_begin_with_another() -> None:
    """A prefix that begins with another prefix is refused, because a key would be of two kinds."""
    with pytest.raises(ConfigurationError, match="one kind of keys"):
        KeyFormat(["sk_", "sk_live_"])


def test_a_weak_check_secret_is_refused() -> None:
    """A weak check secret is refused, and not shown."""
    with pytest.raises(ConfigurationError, match="at least 16") as error:
        KeyFormat(PREFIXES, check_secret="hunter2")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("${CHECK_SECRET_OF_KEYS}", "got text that is a placeholder"),
        ("/run/secrets/check-secret", "got text that is a path"),
        ("changemechangeme", "got text that can be guessed"),
        ("aaaaaaaaaaaaaaaaaaaa", "got text that can be guessed"),
    ],
)
def test_a_check_secret_that_is_none_is_refused(secret: str, reason: str) -> None:
    """A placeholder, a path and guessable text are refused as a check secret, and not shown."""
    with pytest.raises(ConfigurationError, match=reason) as error:
        KeyFormat(PREFIXES, check_secret=secret)
    assert secret not in str(error.value)


def test_a_format_has_a_prefix() -> None:
    """A format without a prefix is refused."""
    with pytest.raises(ConfigurationError, match="prefixes must name at least one"):
        KeyFormat([])


def test_keys_are_made_with_prefixes_of_the_format(keys: KeyFormat) -> None:
    """`make` refuses a prefix that the format does not have."""
    with pytest.raises(ValueError, match="prefix must be one of the format"):
        keys.make("pk_")


def test_a_format_shows_no_secret(keys: KeyFormat) -> None:
    """The repr of a format shows the prefixes alone."""
    assert repr(keys) == "KeyFormat(['sk_live_', 'sk_test_', 'claw_', 'ak_'])"

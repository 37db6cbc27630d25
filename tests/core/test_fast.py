"""The extra `fast` reads tokens with the same results as the standard library."""

import itertools
import json
import random
import sys
from dataclasses import astuple
from types import SimpleNamespace

import pytest
from benchmarks.readers import without_fast
from hypothesis import given
from hypothesis import strategies as st

from authguard import JWTVerifier
from authguard._core.encoding import fast
from authguard._core.jose import compact
from authguard._core.model import Credential
from authguard._core.strict_json import JSONError, read_object
from authguard.errors import MalformedTokenError, RefusedError
from core.test_strict_json import BAD
from sizes import size
from support import AUDIENCE, ISSUER, NOW, SECRET, b64, make_token

# Numbers at the limits of doubles and of 64 bits, and halfway between two doubles.
NUMBERS = [
    "0", "-0", "0.0", "-0.0", "0e9", "1e400", "-1e400", "1e308", "1.7976931348623158e308",
    "1.7976931348623159e308",
    "5e-324", "2.4703282292062327208e-324", "2.4703282292062328e-324", "1e-400", "2.2250738585072011e-308",
    "1e23",
    "9007199254740993", "9007199254740993.0", "9007199254740992.999999999999999999999", "0.1", "1E+2",
    "1e-0", "1.0",
    "0.1000000000000000055511151231257827021181583404541015625", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
    "1e00000000001",
    "123456789012345678901234567890", "9" * 4300, "9" * 4301, "-" + "9" * 4300, "0." + "1" * 5000,
    "1" * 5000 + "e-5000",
    "1" * 5000 + ".0", "00", "01", "-01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "1_0", "NaN", "-NaN",
    "nan", "inf",
    "Infinity", "-Infinity", "1800000000", "1800000000.5", "18e8",
]  # fmt: skip
TEXTS = [
    '""', r'"\u0000"', r'"\ud83d\ude00"', r'"\uD83D\uDE00"', r'"\ud83d"', r'"\ude00"', r'"\ud83d\u0041"',
    r'"\ude00\ud83d"',
    r'"\/\b\f\n\r\t\"\\"', r'"\x41"', r'"\u12"', r'"\u12g4"', r'"\U0041"', '"\x7f"', '"\x1f"', '"\t"',
    '"ä😀\u2028\ufdfa"',
    '"\ufeff"', "'a'", '"a', '"' + "a" * 100 + '"', "true", "false", "null", "True", "nul", "nulll",
    "[]", "{}", "[1,]", "[,]", "{,}", '{"a"}', '{"a":}', '{"a":1,}', '{"a":1 "b":2}', '{"a":1,"a":1}',
    r'{"a":1,"\u0061":1}',
    '{"b":{"a":1,"a":2}}', '[{"a":1},{"a":1}]', "[" * 150 + "]" * 150, "[" * 250 + "]" * 250,
    '{"a":' * 250 + "1" + "}" * 250,
    "[" * 3000 + "]" * 3000, "1/**/", "//", " 1\r\n\t", "\x0b1", "\xa01", "\u20031",
]  # fmt: skip


def outcome(data):
    """Return the text and the members of a read object with their types, or the text of the error."""
    try:
        text, members = read_object(data)
    except JSONError as error:
        return str(error)
    return text, repr(members)


def agrees(data):
    """Return whether bytes have the same outcome with and without the extra."""
    with without_fast():
        expected = outcome(data)
    return outcome(data) == expected


@pytest.mark.parametrize("value", [*NUMBERS, *TEXTS], ids=range(len(NUMBERS) + len(TEXTS)))
@pytest.mark.parametrize(
    "around", ['{"a":%s}', '{ "sub" : %s }\n', '{"b":[%s],"c":{"d":%s}}', "%s", '{"a":1}%s']
)
def test_a_value_is_read_alike(value, around):
    """A value is read as the same value of the same type, or refused alike."""
    assert agrees(around.replace("%s", value).encode())


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_not_strict_is_refused_alike(text):
    """Text that the strict reader refuses is refused with the same error."""
    assert agrees(text.encode("utf-8", "surrogatepass"))
    assert isinstance(outcome(text.encode("utf-8", "surrogatepass")), str)


@pytest.mark.parametrize(
    "data",
    [
        b'\xef\xbb\xbf{"a":1}', b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\xae"}',
        b'{"\xff":1}', b"\xff", b"",
        '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16-le"), '{"a":1}'.encode("utf-32"),
        b'{"a":1}\0', b'{"a":"\xf4\x90\x80\x80"}',
    ],
    ids=range(12),
)  # fmt: skip
def test_encodings_are_read_alike(data):
    """Only UTF-8 without a byte order mark is read, with and without the extra."""
    assert agrees(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_read_alike(data):
    """Any bytes have the same outcome with and without the extra."""
    assert agrees(data)


@given(st.text('{}[]":,\\u0dD8a1eE+-.NIntrufls \n\té\ufeff', max_size=60))
def test_any_text_is_read_alike(text):
    """Any text has the same outcome, alone and as a member."""
    assert agrees(text.encode("utf-8", "surrogatepass"))
    assert agrees(b'{"a":%s}' % text.encode("utf-8", "surrogatepass"))


@given(st.floats(allow_nan=False, allow_infinity=False) | st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_alike(number):
    """A number is read as the nearest double, regardless of the number of digits."""
    assert agrees(f'{{"a":{number}}}'.encode())


def decoded(text):
    """Return the bytes of a part of a token, or the text of the error."""
    try:
        return compact.base64url(text)
    except MalformedTokenError as error:
        return str(error)


def test_base64_is_decoded_alike():
    """Short parts with each byte at each place, and long parts with one wrong byte, are decoded alike."""
    draw = random.Random(5)
    pairs = [bytes(pair) for pair in itertools.product(range(256), b"AQgw048/+=-_\n")]
    parts = [pair[:at] + b"A" * more + pair[at:] for pair in pairs for more in range(4) for at in range(3)]
    for length in range(size(200, 3000)):
        good = b64(draw.randbytes(length)).encode()
        at = draw.randrange(len(good) + 1)
        others = (bytes([byte]) for byte in (draw.randrange(256), *b"=\n+/"))
        parts += [good, *(good[:at] + other + good[at + 1 :] for other in others)]
        parts += [good[:at] + other * 4 + good[at:] for other in (b"!", b"+", b"=", b"\n", b"\0", b"\xff")]
    with without_fast():
        expected = [decoded(part) for part in parts]
    assert [decoded(part) for part in parts] == expected
    assert {type(each) for each in expected} == {bytes, str}


def verdict(verifier, token):
    """Return the principal and its end, or the class and the reasons of a refusal."""
    try:
        verified = verifier.flow(Credential(token, "bearer", "authorization"), NOW)
    except RefusedError as error:
        return type(error).__name__, str(error), error.cause, error.claim
    principal = verified.principal
    return repr(astuple(principal)), principal.claims._text, verified.until


def mutated(draw, text, parts):
    """Return a text with one to three random changes."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        at = draw.randrange(len(text) + 1)
        end = min(len(text), at + draw.choice((0, 1, 1, 4, 20)))
        kind = draw.randrange(5)
        if kind == 0:
            text = text[:at] + draw.choice(parts) + text[end:]
        elif kind == 1:
            text = text[:at] + text[end:]
        elif kind == 2:
            text = text[:end] + text[at:]
        elif kind == 3:
            text = text[:at] + bytes([draw.randrange(256)]) + text[at + 1 :]
        else:
            colon = text.find(b":", at)
            comma = text.find(b",", colon)
            if 0 <= colon < comma:
                text = text[: colon + 1] + draw.choice(parts) + text[comma:]
    return text


SHORT = [part for part in (*NUMBERS, *TEXTS) if len(part) < 600]
STRUCTURE = [*'{}[]":,\\ \n\t', '"exp":', '"sub":"b",', '"aud":[', "\ud800", "\\u0073ub"]
JSON_PARTS = [part.encode("utf-8", "surrogatepass") for part in (*SHORT, *STRUCTURE)]
TOKEN_PARTS = [
    b"=",
    b"==",
    b".",
    b"+",
    b"/",
    b"-",
    b"_",
    b"A",
    b"\n",
    b" ",
    b"!!!!",
    b"++++",
    b"\n\n\n\n",
    b"e30",
    b"AB",
]


def changed_tokens(seed, count):
    """Yield tokens with a changed header or changed claims, and tokens changed after they were signed."""
    draw = random.Random(seed)
    header = b'{"alg":"HS256","typ":"at+jwt"}'
    claims = json.dumps(
        {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "42", "exp": NOW + 600, "iat": int(NOW) - 1,
            "nbf": NOW - 0.5,
            "scope": "read write", "roles": ["a", "ä"], "jti": "j-1", "type": "access",
            "address": {"city": "x", "n": [1, 2.5, None, True]},
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip
    for _ in range(count):
        head, body, where = header, claims, draw.random()
        if where < 0.7:
            body = mutated(draw, body, JSON_PARTS)
        elif where < 0.8:
            head = mutated(draw, head, JSON_PARTS)
        token = make_token(body, header=head).encode()
        if where > 0.75:
            token = mutated(draw, token, TOKEN_PARTS)
        yield token.decode("latin-1")


def differences(seed, count):
    """Return the tokens with another verdict than without the extra, and the number of accepted ones."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=ISSUER, audience=AUDIENCE)
    results, taken = [], 0
    tokens = changed_tokens(seed, count)
    while batch := list(itertools.islice(tokens, 1000)):
        compact._headers.clear()
        quick = [verdict(verifier, token) for token in batch]
        compact._headers.clear()
        with without_fast():
            plain = [verdict(verifier, token) for token in batch]
        results += [each for each in zip(batch, quick, plain, strict=True) if each[1] != each[2]]
        taken += sum(len(each) == 3 for each in plain)
    return results, taken


def test_some_changed_tokens_have_the_same_verdict():
    """Changed tokens have the same principal or reason, and a part of them is accepted."""
    count = 5000
    result, taken = differences(seed=1, count=count)
    assert result == []
    assert count / 20 < taken < count * 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 10))
def test_changed_tokens_have_the_same_verdict(seed):
    """Up to a million changed tokens have the same verdict."""
    assert differences(seed, size(10_000, 125_000))[0] == []


def test_the_packages_are_used_where_they_are_installed():
    """The packages of the extra are used if they are installed, so that the comparisons here compare them."""
    pytest.importorskip("jiter")
    pytest.importorskip("pybase64")
    assert fast.find_json_reader() is not None
    assert fast.find_base64_decoder() is not None
    assert fast.packages_in_use() == ["jiter", "pybase64"]
    assert fast.find_json_reader()(b'{"a":[1,"x"]}') == {"a": [1, "x"]}
    assert fast.find_base64_decoder()(b"AAE=") == b"\0\1"


def test_values_of_claims_are_not_kept():
    """The values of claims are not put into the cache of jiter, which lasts as long as the process."""
    jiter = pytest.importorskip("jiter")
    jiter.cache_clear()
    for number in range(100):
        read_object(b'{"sub":"ann-%d"}' % number)
    used = jiter.cache_usage()
    read_object(b'{"email":"ann-0"}')
    assert jiter.cache_usage() == 2 * used


def test_nothing_is_needed_of_the_packages(monkeypatch):
    """Without the packages the modules of Python read tokens."""
    monkeypatch.setitem(sys.modules, "jiter", None)
    monkeypatch.setitem(sys.modules, "pybase64", None)
    assert fast.find_json_reader() is None
    assert fast.find_base64_decoder() is None
    assert fast.packages_in_use() == []


@pytest.mark.parametrize("version", ["0.9.1", "0.4.0", "unknown", "", "0.a", "0", "1.0rc1"])
def test_another_jiter_is_not_used(monkeypatch, version):
    """A version of jiter outside of the extra's range is not used, because it has not been compared."""
    monkeypatch.setitem(sys.modules, "jiter", SimpleNamespace(__version__=version))
    assert fast.find_json_reader() is None


@pytest.mark.parametrize(
    "version",
    ["1.3.2 (C extension active - AVX2)", "1.5.1 (C extension inactive)", "1.5.1", "x (C extension active)"],
)
def test_another_pybase64_is_not_used(monkeypatch, version):
    """An old pybase64, or one without its C extension, is not used."""
    monkeypatch.setitem(sys.modules, "pybase64", SimpleNamespace(get_version=lambda: version))
    assert fast.find_base64_decoder() is None


@pytest.mark.parametrize("version", ["1.4.0", "1.5.1", "2.0.0"])
def test_later_versions_of_pybase64_are_used(monkeypatch, version):
    """A version of pybase64 from the extra's lower bound on is used."""
    told = f"{version} (C extension active - AVX2)"
    monkeypatch.setitem(sys.modules, "pybase64", SimpleNamespace(get_version=lambda: told, b64decode=None))
    assert fast.find_base64_decoder() is not None


@pytest.mark.parametrize("version", ["0.10.0", "0.19.0", "1.0.0", "1.0"])
def test_later_versions_are_used(monkeypatch, version):
    """A version of jiter from the extra's lower bound on is used."""
    monkeypatch.setitem(sys.modules, "jiter", SimpleNamespace(__version__=version, from_json=None))
    assert fast.find_json_reader() is not None

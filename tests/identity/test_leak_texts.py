"""The texts of reports: fields, signatures, matches, and the places that a mail may show."""

import base64
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from authguard.identity import Settings
from authguard.identity.errors import InvalidReportError, PayloadTooLargeError
from authguard.identity.keys.texts import KeyTexts, secret_pattern
from authguard.identity.mail.mailer import Mail
from authguard.identity.scanning.matches import MAX_MATCHES, Match, place_of, read_matches
from authguard.identity.scanning.signatures import Signature, is_signed, read_public_key, read_signature
from identity.scanner import SAMPLE_BODY, SAMPLE_IDENTIFIER, SAMPLE_KEY, SAMPLE_SIGNATURE, match
from identity.support import settings

KEY = ec.generate_private_key(ec.SECP256R1())
BODY = b'[{"token": "a"}]'
SETTINGS: Settings = settings("sqlite:///unused.db")
PATTERN = re.compile(secret_pattern(SETTINGS).replace(r"\b", ""))
GOOD = base64.b64encode(b"0").decode()


def test_the_sample_of_the_documentation_is_signed() -> None:
    """The sample of GitHub's documentation has a valid signature of the key of that time."""
    key = read_public_key(SAMPLE_KEY)
    assert key is not None
    assert is_signed(SAMPLE_BODY, read_signature([SAMPLE_IDENTIFIER], [SAMPLE_SIGNATURE]), key)


@pytest.mark.parametrize(
    "change",
    [
        lambda der: der + b"\0",
        lambda der: der + der,
        lambda der: der[:-1],
        lambda der: der[:-1] + bytes([der[-1] ^ 1]),
        lambda der: b"\x30\x06\x02\x01\x00\x02\x01\x00",
        lambda der: b"\x30\x06\x02\x01\x01\x02\x01\x01",
        lambda der: b"\x30\x80" + der[2:] + b"\0\0",
        lambda der: b"\x30\x81" + der[1:],
        lambda der: b"x",
    ],
    ids=["more", "twice", "less", "bit", "zeros", "ones", "indefinite", "long", "nothing"],
)
def test_another_signature_is_none(change: Any) -> None:
    """A signature with other bytes, another encoding or zeros is invalid."""
    der = KEY.sign(BODY, ec.ECDSA(hashes.SHA256()))
    assert is_signed(BODY, Signature("a", der), KEY.public_key())
    assert not is_signed(BODY, Signature("a", change(der)), KEY.public_key())


@pytest.mark.parametrize("body", [b"", BODY + b" ", b" " + BODY, BODY.replace(b" ", b""), BODY[:-1]])
def test_another_body_is_not_signed(body: bytes) -> None:
    """A signature is invalid for another body, also for equal JSON with other white space."""
    der = KEY.sign(BODY, ec.ECDSA(hashes.SHA256()))
    assert not is_signed(body, Signature("a", der), KEY.public_key())


@pytest.mark.parametrize(
    ("identifiers", "signatures"),
    [
        ([], [GOOD]),
        (["a"], []),
        (["a", "a"], [GOOD]),
        (["a"], [GOOD, GOOD]),
        ([""], [GOOD]),
        (["a b"], [GOOD]),
        (["a\n"], [GOOD]),
        (["é"], [GOOD]),
        (["a" * 201], [GOOD]),
        (["a"], [""]),
        (["a"], ["MEQ"]),
        (["a"], ["not base64!"]),
        (["a"], [f" {GOOD}"]),
        (["a"], [f"{GOOD}\n"]),
        (["a"], [f"{GOOD}=="]),
        (["a"], ["é"]),
        (["a"], ["A" * 204]),
    ],
)
def test_fields_of_another_form_are_refused(identifiers: list[str], signatures: list[str]) -> None:
    """Fields that are missing, repeated, too long or in another alphabet are refused."""
    with pytest.raises(InvalidReportError):
        read_signature(identifiers, signatures)


def pem(key: Any) -> str:
    """Return the text of a public key."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


@pytest.mark.parametrize(
    "text",
    ["", "key", SAMPLE_KEY[:-40], pem(ec.generate_private_key(ec.SECP384R1())), SAMPLE_KEY + " " * 4_096,
     pem(ed25519.Ed25519PrivateKey.generate()), SAMPLE_KEY.replace("PUBLIC", "PRIVATE")],
    ids=["empty", "text", "cut", "curve", "long", "algorithm", "private"],
)  # fmt: skip
def test_another_key_is_none(text: str) -> None:
    """A key on another curve than P-256, or another text, is no key."""
    assert read_public_key(text) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"{}",
        b'{"token": "a"}',
        b"[1]",
        b"[[]]",
        b'["token"]',
        b"[{}]",
        b'[{"token": ""}]',
        b'[{"token": null}]',
        b'[{"token": 1}]',
        b'[{"token": "a", "url": 1}]',
        b'[{"token": "a", "type": []}]',
        b'[{"token": "a", "source": {}}]',
        b'[{"token": "a", "token": "b"}]',
        b'[{"token": "a"}',
        b'[{"token": "a"}] []',
        b'[{"token": "\\ud800"}]',
        b'[{"token": "\xff"}]',
        b'\xef\xbb\xbf[{"token": "a"}]',
        b'[{"token": "a", "x": NaN}]',
        b"[" * 5_000,
        json.dumps([{"token": "a" * 4_097}]).encode(),
        json.dumps([{"token": "a", "type": "t" * 201}]).encode(),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_of_another_form_is_refused(body: bytes) -> None:
    """A body of another form is refused as a whole."""
    with pytest.raises(InvalidReportError):
        read_matches(body)


@pytest.mark.parametrize(
    ("more", "source"),
    [
        ({"url": ""}, "content"),
        ({"url": None}, "content"),
        ({"source": "Unknown"}, "unknown"),
        ({"source": "Carrier_pigeon"}, "unknown"),
        ({"source": None}, "unknown"),
        ({"source": ""}, "unknown"),
        ({"source": "Pull_request_comment"}, "pull_request_comment"),
        ({"type": "another_type"}, "content"),
        ({"more": {"of": ["this", 1, None]}}, "content"),
    ],
)
def test_what_is_not_known_is_accepted(more: dict[str, Any], source: str) -> None:
    """Empty URLs, other sources and types, and unknown members are accepted."""
    (accepted,) = read_matches(json.dumps([match("a") | more]).encode())
    assert (accepted.token, accepted.source) == ("a", source)


def test_a_match_needs_nothing_but_its_token() -> None:
    """A match needs only its token."""
    assert read_matches(b'[{"token": "a"}]')[0][:4] == ("a", "", "", "unknown")


def test_too_many_matches_are_too_large() -> None:
    """A report with too many matches is refused as too large."""
    body = json.dumps([{"token": "a"}] * (MAX_MATCHES + 1)).encode()
    with pytest.raises(PayloadTooLargeError):
        read_matches(body)


def place(url: str, token: str = "") -> str | None:
    """Return the part of a URL that a mail shows."""
    return place_of(Match(token or made(), "", url, "content", ""), PATTERN)


def made() -> str:
    """Return the text of a key."""
    return KeyTexts(SETTINGS).keys.make("sk_live_")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://github.com/o/r/blob/1/a.txt", "https://github.com/o/r/blob/1/a.txt"),
        (
            "https://github.com/o/r/issues/1#issuecomment-12",
            "https://github.com/o/r/issues/1#issuecomment-12",
        ),
        ("https://github.com/o/r/blob/1/a%20b.txt#L1", "https://github.com/o/r/blob/1/a%20b.txt#L1"),
        ("https://raw.github.com/a.txt?token=ABC", "https://raw.github.com/a.txt"),
        ("https://ann:pass@github.com/o/r", "https://github.com/o/r"),
        ("https://github.com:8443/o", "https://github.com:8443/o"),
        ("https://github.com/o#a=b&token=c", "https://github.com/o"),
        ("https://github.com/", "https://github.com/"),
    ],
)
def test_places_that_are_shown(url: str, shown: str) -> None:
    """A shown place has no user, no query, and no fragment but a name."""
    assert place(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://github.com/o/r",
        "javascript:alert(1)",
        "https://github.com/o\r\nBcc: all@example.com",
        "https://github.com/o r",
        "https://github.com/<script>",
        'https://github.com/"',
        "https://github.com\\@evil.example/",
        "https://gìthub.com/o",
        "https://github.com/ö",
        "https://[::1]/o",
        "https://localhost/o",
        "https:///o",
        "https://github.com:99999/o",
        "https://github.com:x/o",
        "https://github.com/" + "a" * 300,
        " https://github.com/o",
    ],
)
def test_places_that_are_not_shown(url: str) -> None:
    """A URL that is not https, or has other characters or no public host, is not shown."""
    assert place(url) is None


def test_a_place_never_shows_a_secret() -> None:
    """A place with the found text, or with another key in any encoding, is not shown."""
    key, other = made(), made()
    encoded = "".join(f"%{ord(character):02x}" for character in other)
    for name in (key, other, encoded, f"file_{other}.txt", f"a{other}"):
        assert place(f"https://github.com/o/r/{name}", key) is None
    assert place("https://github.com/o/r/short-token", "short-token") is None


def test_a_place_fits_into_a_mail() -> None:
    """A shown place fits in one line of a mail."""
    shown = place("https://github.com/o/r/blob/1/a.txt")
    assert shown is not None and shown.isascii() and shown.isprintable()
    assert Mail("a@example.com", "Subject", shown).text == shown

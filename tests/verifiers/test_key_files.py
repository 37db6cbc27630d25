"""Keys in files that change while the application runs."""

import hashlib
import json
import logging
import os
import traceback
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from authguard import (
    ConfigurationError,
    Credential,
    InvalidTokenError,
    JWTVerifier,
    VerificationUnavailableError,
)
from authguard._core.jose.compact import read_compact
from authguard._core.jose.keyset import KeySet, parse_keys
from authguard._core.verifier import Verified, as_flow
from authguard.drivers import run
from authguard.errors import InvalidSignatureError
from authguard.verifiers.key_files import KeyFiles
from support import AUDIENCE, ISSUER, NOW, SECRET, claims, ec_key, jwk, make_token, pem, rsa_key

OLD = ec_key()
NEW = ec_key.__wrapped__()


def replace_file(path: Path, content: str | bytes) -> None:
    """Replace a file at once by another one, as recommended for keys."""
    other = path.with_name(path.name + ".new")
    other.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(other, path)


def verifier(keys: Any, algorithms: Any = ("ES256",)) -> JWTVerifier:
    """Return a verifier with keys."""
    return JWTVerifier(keys, algorithms=algorithms, issuer=ISSUER, audience=AUDIENCE)


def token(key: Any, algorithm: str = "ES256", **members: Any) -> str:
    """Return a token that is valid for ten days."""
    text: str = make_token(claims(exp=NOW + 10 * 86400), algorithm=algorithm, key=key, **members)
    return text


def verify(by: JWTVerifier, text: str, now: float = NOW) -> Verified:
    """Return the result of a verified token."""
    return run(as_flow(by.flow(Credential(text, "bearer"), now)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Create a file with the old key."""
    path = tmp_path / "keys.pem"
    path.write_text(pem(OLD))
    return path


FORMS: dict[str, tuple[str | bytes, str | bytes, Any, str]] = {
    "PEM": (pem(OLD), pem(OLD) + pem(NEW), NEW, "ES256"),
    "a set": (
        json.dumps({"keys": [jwk(OLD, kid="a")]}),
        json.dumps({"keys": [jwk(OLD, kid="a"), jwk(NEW, kid="b")]}),
        NEW,
        "ES256",
    ),
    "PEM by kid": (json.dumps({"a": pem(OLD)}), json.dumps({"a": pem(OLD), "b": pem(NEW)}), NEW, "ES256"),
    "a secret": (SECRET, "another-" + SECRET, "another-" + SECRET, "HS256"),
    "a secret in bytes": (
        b"\xff" + SECRET.encode(),
        b"{\n\xff\n" + hashlib.sha256(b"x").digest() + b"\n",
        None,
        "HS256",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_is_put_into_the_file_counts_at_once(tmp_path: Path, form: str) -> None:
    """A new key in a file of any form counts at once, also if the file was checked a moment ago."""
    before, after, key, algorithm = FORMS[form]
    path = tmp_path / "keys"
    replace_file(path, before)
    by = verifier(path, [algorithm])
    text = token(
        after if key is None else key, algorithm, **({"kid": "b"} if form in ("a set", "PEM by kid") else {})
    )
    for _ in range(2):
        with pytest.raises(InvalidSignatureError):
            verify(by, text)
    replace_file(path, after)
    assert verify(by, text).principal.subject == "ann"


def test_a_key_that_is_taken_out_is_refused_within_a_second(path: Path) -> None:
    """A verified token is remembered for at most 30 seconds."""
    by = verifier(path)
    assert verify(by, token(OLD)).until == NOW + 30
    replace_file(path, pem(NEW))
    with pytest.raises(InvalidSignatureError):
        verify(by, token(OLD), NOW + 1)
    assert verify(by, token(NEW), NOW + 1).principal.subject == "ann"


def test_two_files_rotate_secrets(tmp_path: Path) -> None:
    """The new and the old secret may be in two files, beside a secret as text."""
    new, old = tmp_path / "new", tmp_path / "old"
    secrets = [hashlib.sha256(bytes([number])).hexdigest() for number in range(4)]
    replace_file(new, secrets[0])
    replace_file(old, secrets[0])
    by = verifier([new, old, secrets[3]], ["HS256"])
    replace_file(new, secrets[1])
    for secret in (secrets[0], secrets[1], secrets[3]):
        assert verify(by, token(secret, "HS256"), NOW + 1).principal.subject == "ann"
    replace_file(old, secrets[1])
    with pytest.raises(InvalidSignatureError):
        verify(by, token(secrets[0], "HS256"), NOW + 2)


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path: Path) -> None:
    """A link to another file, as Kubernetes replaces mounted secrets, is a change."""
    for name, key in (("one", OLD), ("two", NEW)):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "jwt.pem"
        file.write_text(pem(key))
        os.utime(file, (NOW, NOW))
    link = tmp_path / "data"
    link.symlink_to("one")
    by = verifier(link / "jwt.pem")
    verify(by, token(OLD))
    other = tmp_path / "other"
    other.symlink_to("two")
    os.replace(other, link)
    assert verify(by, token(NEW)).principal.subject == "ann"


BROKEN: dict[str, str | bytes | None] = {
    "gone": None,
    "empty": "",
    "half": pem(NEW)[:80],
    "garbage": b"\xff\xfe\x00",
    "an empty set": '{"keys": []}',
    "a broken set": '{"keys": [{"kty": "EC"',
    "a private key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    "too large": " " * (1024 * 1024 + 1),
}


@pytest.mark.parametrize("case", BROKEN)
def test_the_last_good_keys_outlive_a_broken_file(path: Path, case: str, caplog: Any) -> None:
    """The last valid keys are used for a day with one warning, and are then an outage."""
    by = verifier(path)
    content = BROKEN[case]
    if content is None:
        path.unlink()
    else:
        replace_file(path, content)
    with caplog.at_level(logging.WARNING, logger="authguard"):
        for second in (0, 1, 2, 3600, 86399):
            verified = verify(by, token(OLD), NOW + second)
            assert verified.until == min(NOW + second + 30, NOW + 86400)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    health = by.health(NOW + 86399)[0]
    assert (health.name, health.state) == (str(path), "stale")
    assert health.failures and health.reason
    with pytest.raises(VerificationUnavailableError):
        verify(by, token(OLD), NOW + 86400)
    assert by.health(NOW + 86400)[0].state == "failing"
    replace_file(path, pem(NEW))
    assert verify(by, token(NEW), NOW + 86402).principal.subject == "ann"
    assert by.health(NOW + 86402)[0].state == "fresh"


def test_a_token_by_an_unknown_key_is_no_fault_of_the_caller_while_the_file_is_broken(path: Path) -> None:
    """A token by an unknown key is a 503, since the broken file may have its key."""
    by = verifier(path)
    path.unlink()
    with pytest.raises(VerificationUnavailableError):
        verify(by, token(NEW))
    replace_file(path, pem(NEW))
    assert verify(by, token(NEW)).principal.subject == "ann"


def test_a_forged_token_is_refused_while_the_file_is_broken(tmp_path: Path) -> None:
    """A forged token with the kid of a known key is refused."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(jwk(OLD, kid="a")))
    by = verifier(path)
    path.unlink()
    with pytest.raises(InvalidSignatureError):
        verify(by, token(NEW, kid="a"))
    with pytest.raises(VerificationUnavailableError):
        verify(by, token(NEW, kid="b"))


def test_a_broken_file_is_read_once_a_second(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file is read at most once a second, and a change of it counts at once."""
    reads: list[str] = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: (reads.append(""), real(self))[1])
    held = verifier(path)
    replace_file(path, "{")
    for hundredth in range(20):
        with pytest.raises(VerificationUnavailableError):
            verify(held, token(NEW), NOW + hundredth / 100)
    assert len(reads) == 2
    verify(held, token(OLD), NOW + 1.5)
    assert len(reads) == 3
    replace_file(path, pem(NEW))
    verify(held, token(NEW), NOW + 1.6)


def test_a_file_that_changes_while_it_is_read_is_read_again(path: Path) -> None:
    """A file that changes during its reading may be a mixture of both contents, and is read again."""

    def read() -> KeySet:
        keys = KeySet(parse_keys(path.read_text(), frozenset({"ES256"})))
        if len(keys) == 1:
            replace_file(path, pem(OLD) + pem(NEW))
        return keys

    with pytest.raises(ConfigurationError, match="must not change while it is read"):
        KeyFiles([path], read)
    assert run(KeyFiles([path], read).verify(read_compact(token(NEW)), NOW))[0].algorithm == "ES256"


def test_a_file_that_does_not_change_is_read_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unchanged file is not read again."""
    by = verifier(path)
    reads: list[Path] = []
    read = Path.read_bytes

    def read_and_note(self: Path) -> bytes:
        reads.append(self)
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", read_and_note)
    for second in range(5):
        verify(by, token(OLD), NOW + second)
        with pytest.raises(InvalidSignatureError):
            verify(by, token(NEW), NOW + second)
    assert reads == []


def test_a_clock_that_was_set_back_stops_no_looking(path: Path) -> None:
    """A removed key is refused also if the clock was set back."""
    by = verifier(path)
    verify(by, token(OLD))
    replace_file(path, pem(NEW))
    with pytest.raises(InvalidSignatureError):
        verify(by, token(OLD), NOW - 3600)


def test_a_file_without_keys_is_found_when_built(tmp_path: Path) -> None:
    """A file without a usable key is refused when the verifier is built."""
    for content in ("", '{"keys": []}', pem(rsa_key())):
        replace_file(tmp_path / "keys.json", content)
        with pytest.raises(ConfigurationError):
            verifier(tmp_path / "keys.json")
    with pytest.raises(ConfigurationError, match="a readable file"):
        verifier([pem(OLD), tmp_path / "none.pem"])


def test_health_before_any_token(path: Path) -> None:
    """The health of key files is fresh before the first token."""
    assert [(health.name, health.state) for health in verifier(path).health(None)] == [(str(path), "fresh")]


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """The keys of a pipe are read once, and stay valid."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=(pem(OLD),))
    writer.start()
    by = verifier(pipe)
    writer.join()
    pipe.unlink()
    for second in (0, 1, 100_000):
        assert verify(by, token(OLD), NOW + second).principal.subject == "ann"


def test_a_jku_is_refused_with_keys_in_a_file(path: Path) -> None:
    """A token with a `jku` is refused with keys in a file."""
    with pytest.raises(InvalidTokenError):
        verify(verifier(path), token(OLD, jku="https://issuer.example/jwks"))


@pytest.mark.parametrize("mode", [0o666, 0o644], ids=oct)
def test_a_file_that_every_user_can_write_is_reported(
    path: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A file of keys that every user can change leaves a WARNING; one that they can read leaves none."""
    path.chmod(mode)
    verifier(path)
    assert (f"{path} is open to every user of this machine" in caplog.text) == (mode == 0o666)


def test_a_secret_in_place_of_its_path_is_not_shown() -> None:
    """The error about a missing file does not show text that may be the secret."""
    with pytest.raises(ConfigurationError, match="got text that is not shown: FileNotFoundError") as refused:
        verifier(Path(SECRET), ["HS256"])
    assert SECRET not in "".join(traceback.format_exception(refused.value))

"""A file of API keys that is edited while the application runs."""

import json
import logging
import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from authguard import (
    APIKeyFile,
    ConfigurationError,
    Credential,
    Guard,
    VerificationUnavailableError,
    digest_api_key,
)
from authguard.errors import InvalidAPIKeyError
from authguard.verifiers.apikey import APIKeyVerifier
from authguard.verifiers.keyfile import MAX_FILE
from remote.servers import until
from support import judge

NOW = 1_800_000_000.0
KEY, OTHER = "sk_live_first_0123456789", "sk_live_other_0123456789"


def toml(key: str = KEY, more: str = "", end: str = "# end\n") -> str:
    """Return the text of a key file with one key."""
    return f'["{digest_api_key(key)}"]\nsubject = "robot"\n{more}\n{end}'


def written(path: Path, text: str) -> Path:
    """Write a file with a time of change that differs from the previous one."""
    path.write_text(text)
    os.utime(path, ns=(0, written.tick))  # type: ignore[attr-defined]
    written.tick += 1_000_000_000  # type: ignore[attr-defined]
    return path


written.tick = 1_000_000_000  # type: ignore[attr-defined]


def subject(verifier: APIKeyVerifier, key: str, now: float) -> str:
    """Return the subject of a key."""
    return judge(verifier, Credential(key, "api_key"), now).principal.subject


def refused(verifier: APIKeyVerifier, key: str, now: float) -> bool:
    """Return whether a key is refused."""
    try:
        subject(verifier, key, now)
    except InvalidAPIKeyError:
        return True
    return False


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    """TOML and JSON give the same scopes, roles, expiry and key id."""
    members = {"subject": "robot", "scopes": ["a"], "roles": ["b"], "key_id": "k1", "disabled": False}
    as_json = {digest_api_key(KEY): members | {"expires_at": "2027-06-01T00:00:00+00:00"}}
    more = 'scopes = ["a"]\nroles = ["b"]\nkey_id = "k1"\ndisabled = false\nexpires_at = 2027-06-01T00:00:00Z'
    results = [
        APIKeyFile(written(tmp_path / "k.json", json.dumps(as_json))).find(digest_api_key(KEY), NOW)[0],
        APIKeyFile(written(tmp_path / "k.toml", toml(more=more))).find(digest_api_key(KEY), NOW)[0],
    ]
    assert results[0] == results[1]
    assert results[0] is not None
    assert results[0].expires_at == 1811808000.0


def test_a_change_counts_within_a_second(tmp_path: Path) -> None:
    """A new key is accepted, and a removed one refused, without a restart."""
    path = written(tmp_path / "keys.toml", toml())
    verifier = APIKeyVerifier(APIKeyFile(path))
    assert subject(verifier, KEY, NOW) == "robot"
    written(path, toml(OTHER))
    assert subject(verifier, KEY, NOW + 0.5) == "robot"
    assert refused(verifier, KEY, NOW + 1)
    assert subject(verifier, OTHER, NOW + 1) == "robot"


def test_a_key_is_not_remembered_while_the_file_is_read(tmp_path: Path) -> None:
    """A key that is found while the file is read is not remembered, as the next content may not have it."""
    path = written(tmp_path / "keys.toml", toml())
    keys = APIKeyFile(path)
    keys.refresh(NOW)
    os.mkfifo(tmp_path / "pipe")
    os.replace(tmp_path / "pipe", path)
    reader = Thread(target=keys.refresh, args=(NOW + 1,))
    reader.start()
    until(lambda: not keys.is_due(NOW + 1))
    try:
        assert keys.find(digest_api_key(KEY), NOW + 1)[1] == NOW + 1
    finally:
        path.write_text(toml(OTHER))
        reader.join()


def test_a_key_is_remembered_no_longer_than_the_file_is_trusted(tmp_path: Path) -> None:
    """A key is remembered until the file must be checked again."""
    verifier = APIKeyVerifier(APIKeyFile(written(tmp_path / "keys.toml", toml())))
    assert judge(verifier, Credential(KEY, "api_key"), NOW).until == NOW + 1


@pytest.mark.parametrize("size", range(0, 130, 7), ids=str)
@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_half_a_file_never_answers(tmp_path: Path, suffix: str, size: int) -> None:
    """The old keys are used until the new file is complete."""
    new = json.dumps({digest_api_key(OTHER): {"subject": "robot", "disabled": True}})
    old = json.dumps({digest_api_key(KEY): {"subject": "robot"}})
    if suffix == ".toml":
        new, old = toml(OTHER, "disabled = true"), toml()
    path = written(tmp_path / f"keys{suffix}", old)
    verifier = APIKeyVerifier(APIKeyFile(path))
    written(path, new[: min(size, len(new) - 2)])
    assert subject(verifier, KEY, NOW) == "robot"
    assert refused(verifier, OTHER, NOW)


@pytest.mark.parametrize(
    ("suffix", "text", "form"), [(".json", "{", "JSON"), (".toml", "a = \n# end\n", "TOML")]
)
def test_the_error_names_the_form_of_the_file(tmp_path: Path, suffix: str, text: str, form: str) -> None:
    """The error has the form that the suffix of the file names."""
    with pytest.raises(ConfigurationError, match=rf"keys{suffix} must be strict {form}, got other text: "):
        APIKeyFile(written(tmp_path / f"keys{suffix}", text))


@pytest.mark.parametrize("broken", ["", "{", None], ids=["empty", "half", "gone"])
def test_a_file_that_stays_broken_is_an_outage(tmp_path: Path, broken: str | None) -> None:
    """The last valid content is used for a minute, and is then an outage until the file is repaired."""
    path = written(tmp_path / "keys.json", json.dumps({digest_api_key(KEY): {"subject": "robot"}}))
    verifier = APIKeyVerifier(APIKeyFile(path))
    path.unlink() if broken is None else written(path, broken)
    assert subject(verifier, KEY, NOW) == "robot"
    assert subject(verifier, KEY, NOW + 59) == "robot"
    with pytest.raises(VerificationUnavailableError):
        subject(verifier, KEY, NOW + 60)
    written(path, json.dumps({digest_api_key(KEY): {"subject": "mended"}}))
    assert subject(verifier, KEY, NOW + 62) == "mended"


def test_a_fault_of_an_edit_is_named_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A WARNING and the health name the fault while the last content is used, and the outage names it."""
    path = written(tmp_path / "keys.json", json.dumps({digest_api_key(KEY): {"subject": "robot"}}))
    guard = Guard(verifier := APIKeyVerifier(APIKeyFile(path)))
    assert [health.state for health in guard.health(NOW)] == ["fresh"]
    written(path, json.dumps({digest_api_key(KEY): {"subject": "robot", "scopes": "read"}}))
    fault = (
        "scopes of the API key of 'robot' must be a list of names, got 'read' (str): write scopes=['read']"
    )
    with caplog.at_level(logging.INFO, "authguard"):
        assert [subject(verifier, KEY, NOW + second) for second in (0, 2, 4)] == ["robot"] * 3
    (line,) = caplog.messages
    assert str(path) in line and fault in line and "its previous keys are used for 60 seconds" in line
    (health,) = guard.health(NOW + 4)
    assert (health.name, health.state, health.failures) == (str(path), "stale", 3)
    assert fault in health.reason
    with pytest.raises(VerificationUnavailableError) as outage:
        subject(verifier, KEY, NOW + 60)
    assert fault in outage.value.reason
    assert guard.health(NOW + 60)[0].state == "failing"
    written(path, json.dumps({digest_api_key(KEY): {"subject": "mended"}}))
    with caplog.at_level(logging.INFO, "authguard"):
        assert subject(verifier, KEY, NOW + 62) == "mended"
    assert caplog.messages[-1] == f"the API keys of {path} were reloaded"
    health = guard.health(NOW + 62)[0]
    assert (health.state, health.reason, health.fetched_at) == ("fresh", "", NOW + 62)


def test_another_fault_is_another_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A second edit with another fault is logged, too."""
    path = written(tmp_path / "keys.json", json.dumps({digest_api_key(KEY): {"subject": "robot"}}))
    verifier = APIKeyVerifier(APIKeyFile(path))
    for second, text in enumerate(["{", "[]", "[]"]):
        written(path, text)
        subject(verifier, KEY, NOW + 2 * second)
    assert len(caplog.messages) == 2


def test_a_clock_that_jumps_back_does_not_stop_looking(tmp_path: Path) -> None:
    """The file must be checked again also if the clock was set back."""
    path = written(tmp_path / "keys.toml", toml())
    keys = APIKeyFile(path)
    keys.refresh(NOW)
    assert keys.is_due(NOW - 3600)


ENTRY = {"subject": "robot"}
DIGEST = digest_api_key(KEY)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("keys.txt", "{}", "must end in .json or .toml"),
        ("keys.json", "[]", "not a JSON object"),
        ("keys.json", "\ufeff{}", "not JSON"),
        ("keys.json", '{"a": {}, "a": {}}', "occurs twice"),
        ("keys.json", json.dumps({KEY: ENTRY}), "64 lower-case hexadecimal"),
        ("keys.json", json.dumps({DIGEST.upper(): ENTRY}), "64 lower-case hexadecimal"),
        ("keys.json", json.dumps({DIGEST: "robot"}), "with subject"),
        ("keys.json", json.dumps({DIGEST: {}}), "must be text that is not empty"),
        ("keys.json", json.dumps({DIGEST: ENTRY | {"scope": ["a"]}}), "got 'scope'"),
        ("keys.json", json.dumps({DIGEST: ENTRY | {"scopes": "a"}}), "must be a list"),
        ("keys.json", json.dumps({DIGEST: ENTRY | {"disabled": "no"}}), "must be True or False"),
        ("keys.json", json.dumps({DIGEST: ENTRY | {"expires_at": "soon"}}), "ISO 8601"),
        ("keys.json", json.dumps({DIGEST: ENTRY | {"expires_at": "2027-01-01"}}), "time zone"),
        ("keys.json", json.dumps({DIGEST: ENTRY | {"expires_at": True}}), "seconds since the epoch"),
        ("keys.toml", toml(end=""), "the last line of .* must be"),
        ("keys.toml", "x = \n# end", "keys.toml"),
    ],
    ids=str,
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, name: str, text: str, says: str) -> None:
    """The error for an invalid file names the file and the fault."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=says):
        APIKeyFile(path)


@pytest.mark.parametrize(
    ("size", "says"), [(MAX_FILE, "the last line of .* must be"), (MAX_FILE + 1, "at most 16 MiB")]
)
def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, size: int, says: str) -> None:
    """The size of a file is checked before it is read, and the largest allowed one is read."""
    path = written(tmp_path / "keys.toml", toml())
    os.truncate(path, size)
    with pytest.raises(ConfigurationError, match=says):
        APIKeyFile(path)


@pytest.mark.parametrize("content", [None, b"\xff"], ids=["missing", "not UTF-8"])
def test_a_file_that_cannot_be_read(tmp_path: Path, content: Any) -> None:
    """The error for a missing or binary file names the file."""
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        APIKeyFile(path)


def test_a_file_that_every_user_can_write_is_reported(tmp_path: Path, caplog: Any) -> None:
    """A file of API keys that every user can change leaves a WARNING."""
    path = tmp_path / "keys.json"
    path.write_text("{}")
    path.chmod(0o666)
    APIKeyFile(path)
    assert f"{path} is open to every user of this machine: chmod 600 {path}" in caplog.text

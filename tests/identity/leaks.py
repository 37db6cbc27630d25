"""Note the secrets of a test of the identity service, and search for them in places that must not have them.

`watching` notes each secret that passes during a test: of requests, of mails, of settings, and issued
by the service. `Leaks.report` then looks for them in the log of every library at level DEBUG, in the
database, in the arguments of processes, and in answers to requests that carried them.
"""

import base64
import contextlib
import html
import json
import logging
import re
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx2
import markupsafe
import psycopg
import pytest
from cryptography.fernet import MultiFernet
from sqlalchemy.engine import make_url
from starlette.types import Message, Receive, Scope, Send

import authguard
from authguard.identity import Identity, IdentityService, Settings
from authguard.identity.keys.texts import KeyTexts, MadeKey
from authguard.identity.mail.mailer import Mail
from authguard.identity.passwords.hashing import PasswordHasher
from authguard.identity.social.provider import Provider
from authguard.identity.usecases.oauth.clients import Clients
from identity.processes import Processes, shapes_in, watch_processes
from identity.support import kept_connection

MIN_SECRET = 8
MIN_PROVIDER_SECRET = 6  # the secret of most tests
MAX_SECRETS = 600
MAX_BODY = 64 * 1024
MAX_ANSWERS = 2_000
MAX_LINES = 30_000
SOURCE = str(Path(authguard.__file__).parent)  # the path of an installed package, or of the source
_FIELD = re.compile(r"(?:\w+_)?(?:password|token|secret|code|code_verifier|assertion)\Z", re.IGNORECASE)
#: Secrets that the service never sends in an answer, so that no answer of the test may contain them.
_NOT_ISSUED = {
    "password",
    "password hash",
    "client secret",
    "setting",
    "provider's secret",
    "provider's code",
}
#: The page of a link removes the token from the URL, and stores it in a cookie of the browser.
_LINK_COOKIE = re.compile(r"(?<=set-cookie: )((?:__Host-)?authguard-(?:verify|reset|change-email))=[^;\n]+")
#: Returns a file with the data that the browser sends.
_KEY_FILE = "/account/keys/file"
#: The unused part of a page of SQLite; no secret is so long.
_UNUSED = re.compile(rb"\0{64,}")
#: Secrets that may be only in the database.
_ONLY_STORED = {"password hash", "encrypted key"}
_HTTP_CLIENTS = ("httpx", "httpx2", "httpcore", "httpcore2")
_PLAIN_RECORD = len(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)
#: The name of a place, and the text that it contains.
Place = tuple[str, str]


class Leaks:
    """Hold the secrets of a test, and the texts that must not contain them."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.names: set[str] = set()
        self.lines: dict[str, str] = {}
        self.answers: list[tuple[str, str, list[str]]] = []
        self.processes = Processes()
        self.databases: set[str] = set()

    def note(self, value: Any, kind: str) -> None:
        """Note a secret. Only the signature of a JWT counts, because the rest is the same in many tokens."""
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if not isinstance(value, str):
            return
        if value.count(".") == 2 and len(value) > 64:
            value = value.rpartition(".")[2]
        least = MIN_SECRET if kind != "provider's secret" else MIN_PROVIDER_SECRET
        if len(value) >= least and _is_telling(value) and len(self.secrets) < MAX_SECRETS:
            self.secrets.setdefault(value, kind)

    def report(self, *outputs: str) -> list[str]:
        """Return a sentence for each leak; it names the place, and shows no secret.

        Args:
            outputs: the output of servers in processes of their own that pytest has captured.
        """
        processes, problems = self.processes, []
        for value, kind in processes.secrets.items():
            self.note(value, kind)
        commands = [("the arguments of a process", text) for text in processes.commands]
        shown = [*processes.texts(), *(("the output of a server", text) for text in outputs)]
        forms = self._telling_forms()
        lines = [(where, text) for text, where in self.lines.items()]
        problems += _search(lines, forms) or shapes_in(lines)
        problems += _search(commands + shown, forms)
        if processes.pids:
            problems += shapes_in(commands + shown)
        in_clear = {form: kind for form, kind in forms.items() if kind not in _ONLY_STORED}
        for url in self.databases | processes.databases:
            stored = stored_texts(url)
            problems += _search(stored, in_clear)
            problems += shapes_in(stored, stored=True) if url in processes.databases else []
        never = {form: kind for form, kind in forms.items() if kind in _NOT_ISSUED}
        problems += _search([(where, text) for where, text, _ in self.answers], never)
        for where, text, own in self.answers:
            problems += _search([(where, text)], {form: forms[form] for form in own if form in forms})
        return list(dict.fromkeys(problems))

    def _telling_forms(self) -> dict[str, str]:
        telling = {
            secret: kind
            for secret, kind in self.secrets.items()
            if not any(secret in name for name in self.names)
        }
        return {form: kind for secret, kind in telling.items() for form in _forms(secret)}


def _is_telling(value: str) -> bool:
    """Return whether a text is so unusual that it occurs nowhere by accident, as a word would."""
    is_word = value.isalpha() and value.islower() and len(value) < 16
    return not is_word and len(set(value)) > 4


def _forms(secret: str) -> set[str]:
    """Return the ways in which a secret may be shown."""
    return {
        secret,
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        quote(secret, safe="", errors="replace"),
        html.escape(secret),
        str(markupsafe.escape(secret)),
    }


def _search(places: Sequence[Place], secrets: dict[str, str]) -> list[str]:
    """Return the places of secrets, as sentences in which the secrets are replaced."""
    if not secrets or not places:
        return []
    everything = "\n".join(text for _, text in places)
    problems = []
    for secret in [each for each in secrets if each in everything]:
        where, text = next(((where, text) for where, text in places if secret in text), ("two places", ""))
        start = max(0, text.find(secret) - 80)
        around = text[start : text.find(secret) + len(secret) + 40]
        for other in sorted(secrets, key=len, reverse=True):
            around = around.replace(other, f"[{secrets[other]}]")
        problems.append(f"a {secrets[secret]} is in {where}: {around!r}")
    return problems


def stored_texts(url: str) -> list[Place]:
    """Return (place, text) of all contents of a database; empty if it no longer exists."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _postgres_rows(url)
    path, places = Path(parsed.database or ""), []
    for file in (path, Path(f"{path}-wal"), Path(f"{path}-journal")):
        with contextlib.suppress(OSError):
            data = _UNUSED.sub(b"", file.read_bytes())  # nine tenths of a new file
            places.append((f"the bytes of {file.name}", data.decode("latin-1")))
    # A long value may be split between the pages of the file.
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=1)) as database:
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            rows = database.execute(f'SELECT * FROM "{name}"').fetchall()
            places.append((f"the table {name}", "\n".join(map(str, rows))))
    return places


def _postgres_rows(url: str) -> list[Place]:
    with contextlib.suppress(psycopg.Error):
        connection = kept_connection(url)
        names = connection.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        query = " UNION ALL ".join(f"SELECT '{name}', t::text FROM {name} t" for (name,) in names)
        return [(f"the table {name}", text) for name, text in connection.execute(query)] if query else []
    return []


# Noting secrets and texts.


@contextlib.contextmanager
def watching(leaks: Leaks) -> Iterator[Leaks]:
    """Note the secrets of a test, and the texts that must not contain them."""
    with pytest.MonkeyPatch.context() as patch:
        _watch_logs(leaks, patch)
        _watch_service(leaks, patch)
        _watch_identity(leaks, patch)
        watch_processes(leaks.processes, patch)
        yield leaks


def _watch_logs(leaks: Leaks, patch: pytest.MonkeyPatch) -> None:
    """Note every log record, regardless of the levels, without a change for handlers."""
    is_enabled = logging.Logger.isEnabledFor

    def handle(logger: logging.Logger, record: logging.LogRecord) -> None:
        shown = False if logger.disabled else logger.filter(record)
        if not shown:
            return
        record = shown if isinstance(shown, logging.LogRecord) else record
        if len(leaks.lines) < MAX_LINES and not _is_of_test(record):
            leaks.lines.setdefault(_formatted(record), f"the log of {record.name} ({record.levelname})")
        if is_enabled(logger, record.levelno):
            logger.callHandlers(record)

    patch.setattr(logging.Logger, "isEnabledFor", lambda logger, level: True)
    patch.setattr(logging.Logger, "handle", handle)


def _is_of_test(record: logging.LogRecord) -> bool:
    """Return whether a record comes from a client or an engine that a test created itself."""
    if record.name != "sqlalchemy.engine.Engine" and not record.name.startswith(_HTTP_CLIENTS):
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.startswith(SOURCE):
        frame = frame.f_back
    return frame is None


def _formatted(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[0]:
        text += "\n" + "".join(traceback.format_exception(*record.exc_info))
    if len(record.__dict__) > _PLAIN_RECORD:
        text += "\n" + str(record.__dict__)
    return text


def _watch_service(leaks: Leaks, patch: pytest.MonkeyPatch) -> None:
    """Note the secrets that are hashed, issued, mailed and set."""

    def before(owner: type, name: str, see: Callable[..., object]) -> None:
        whole = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            see(*args, **kwargs)
            return whole(*args, **kwargs)

        patch.setattr(owner, name, call)

    def after(owner: type, name: str, see: Callable[[Any], object]) -> None:
        whole = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            result = whole(*args, **kwargs)
            see(result)
            return result

        patch.setattr(owner, name, call)

    before(PasswordHasher, "hash", lambda hasher, password: leaks.note(password, "password"))
    after(PasswordHasher, "hash", lambda kept: leaks.note(kept, "password hash"))
    before(PasswordHasher, "verify", lambda hasher, kept, password: leaks.note(password, "password"))
    before(PasswordHasher, "verify_dummy", lambda hasher, password: leaks.note(password, "password"))
    before(Settings, "__post_init__", lambda settings: note_settings(leaks, settings))
    before(IdentityService, "__init__", lambda *args, **_: leaks.databases.add(args[1].database))
    before(Mail, "__post_init__", lambda mail: _note_mail(leaks, mail))
    before(Provider, "__init__", lambda *args, **_: leaks.note(args[3], "provider's secret"))
    before(MultiFernet, "encrypt", lambda seal, pem: leaks.note(_middle_line(pem), "signing key"))
    after(MultiFernet, "encrypt", lambda encrypted: leaks.note(encrypted, "encrypted key"))
    after(KeyTexts, "make", lambda made: _note_key(leaks, made))
    after(Clients, "create", lambda made: leaks.note(made[1], "client secret"))
    after(httpx2.Response, "json", lambda document: _note_fields(leaks, document, "provider's token"))


def _middle_line(pem: bytes) -> bytes:
    """Return a line of a private key that contains more than the public key."""
    lines = pem.splitlines()[1:-1]
    return lines[len(lines) // 2]


def note_settings(leaks: Leaks, settings: Settings) -> None:
    """Note the secrets of settings, and the passwords in their URLs."""
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name.endswith(("secret", "_token")):
            leaks.note(value, "setting")
        elif field.name in ("database", "smtp_url", "limits_url", "revocations_url") and value:
            with contextlib.suppress(ValueError):
                leaks.note(unquote(urlsplit(value).password or ""), "setting")


def _note_key(leaks: Leaks, made: MadeKey) -> None:
    leaks.note(made.text, "API key")
    leaks.note(made.secret, "client secret of a key")


def _note_mail(leaks: Leaks, mail: Mail) -> None:
    for token in re.findall(r"token=([^\s&]+)", mail.text):
        leaks.note(token, "one-time token")


def _note_fields(leaks: Leaks, document: Any, kind: str) -> None:
    """Note the tokens of an answer, such as a provider's."""
    if isinstance(document, dict):
        for name in ("access_token", "refresh_token", "id_token", "client_secret"):
            leaks.note(document.get(name), kind)


def _watch_identity(leaks: Leaks, patch: pytest.MonkeyPatch) -> None:
    """Note the secrets of every request to the service, and every answer."""
    whole = Identity.__call__

    async def call(identity: Identity, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await whole(identity, scope, receive, send)
        query, headers = scope.get("query_string") or b"", list(scope["headers"])
        sent = bytearray()
        answer: list[Message] = []

        async def receiving() -> Message:
            message = await receive()
            if len(sent) < MAX_BODY:
                sent.extend(message.get("body", b""))
            return message

        async def sending(message: Message) -> None:
            answer.append(message)
            await send(message)

        try:
            await whole(identity, scope, receiving, sending)
        finally:
            own = note_request(leaks, query, headers, bytes(sent))
            own = [] if scope["path"].endswith(_KEY_FILE) else own
            if len(leaks.answers) < MAX_ANSWERS:
                note_answer(leaks, f"the answer to {scope['method']} {scope['path']}", answer, own)

    patch.setattr(Identity, "__call__", call)


def note_request(
    leaks: Leaks, query: bytes, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> list[str]:
    """Note the secrets of a request; return those that its answer must not show."""
    results: list[tuple[str, str]] = []
    for header, line in headers:
        text = line.decode("latin-1")
        if header == b"authorization":
            results += _of_authorization(text)
        elif header == b"cookie":
            pairs = [part.strip().partition("=") for part in text.split(";")]
            results += [(value, "cookie") for _, _, value in pairs if len(value) >= 16]
    media_type = dict(headers).get(b"content-type", b"")
    values: list[tuple[str, Any]] = list(parse_qsl(query.decode("latin-1")))
    if b"json" in media_type:
        with contextlib.suppress(ValueError, RecursionError):
            document = json.loads(body)
            values += document.items() if isinstance(document, dict) else []
    elif b"form" in media_type:
        values += parse_qsl(body.decode("utf-8", "replace"))
    for name, value in values:
        if isinstance(value, str) and _FIELD.match(name):
            results.append((value, _kind(name)))
        elif isinstance(value, str):
            leaks.names.add(value)
    for value, kind in results:
        leaks.note(value, kind)
    return [form for value, _ in results for form in _forms(value)]


def _kind(name: str) -> str:
    for word in ("password", "client_secret"):
        if name.lower().endswith(word):
            return word.replace("_", " ")
    return "provider's code" if name == "code" else name.replace("_", " ")


def _of_authorization(text: str) -> list[tuple[str, str]]:
    scheme, _, rest = text.partition(" ")
    if scheme.lower() != "basic":
        return [(rest.strip() or text, "Authorization field")]
    results = [(rest, "Authorization field")]
    with contextlib.suppress(ValueError):
        decoded = base64.b64decode(rest).decode("utf-8", "replace")
        results.append((unquote(decoded.partition(":")[2]), "client secret"))
    return results


def note_answer(leaks: Leaks, where: str, messages: Iterable[Message], own: list[str]) -> None:
    """Note an answer, and the secrets that it has issued."""
    head = next((message for message in messages if message["type"] == "http.response.start"), None)
    if head is None:
        return
    body = b"".join(message.get("body", b"") for message in messages)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head["headers"]]
    for name, value in headers:
        if name == "set-cookie":
            leaks.note(value.partition("=")[2].partition(";")[0], "cookie")
    if any(name == "content-type" and value.startswith("application/json") for name, value in headers):
        with contextlib.suppress(ValueError):
            _note_fields(leaks, json.loads(body), "token")
    text = "\n".join(f"{name}: {value}" for name, value in headers) + "\n" + body.decode("utf-8", "replace")
    leaks.answers.append((where, _LINK_COOKIE.sub(r"\1=", text), own))

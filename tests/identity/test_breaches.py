"""Breached passwords: sorted files, lists of words, and a service over a real socket."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from authguard import ConfigurationError, VerificationUnavailableError
from authguard.identity.passwords import breaches
from authguard.identity.passwords.breaches import BreachedFile, BreachedService, BreachedWords, _digest

KNOWN = [f"password{number}" for number in range(200)]


def _write(path, passwords, form="{}:7\r\n"):
    path.write_text("".join(form.format(digest) for digest in sorted(map(_digest, passwords))), newline="")
    return path


@pytest.mark.parametrize("form", ["{}:7\n", "{}:7\r\n", "{}\n"])
@pytest.mark.parametrize("count", [1, 2, 3, 199, 200])
def test_file_knows_exactly_its_passwords(tmp_path, form, count):
    """A file of digests finds exactly the passwords that it has."""
    known = BreachedFile(_write(tmp_path / "list.txt", KNOWN[:count], form))
    assert [password for password in KNOWN if known.is_breached(password)] == KNOWN[:count]


def test_file_in_lower_case_without_a_last_line_end(tmp_path):
    """A file of digests may be in lower case, and may lack the last end of line."""
    path = _write(tmp_path / "list.txt", KNOWN, "{}\n")
    path.write_text(path.read_text().lower().rstrip("\n"))
    known = BreachedFile(path)
    assert all(map(known.is_breached, KNOWN))
    assert not known.is_breached("another")


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"password\n", b"F" * 40 + b"\n" + b"0" * 40 + b"\n", b"0" * 39]
)
def test_file_that_is_no_list_is_refused(tmp_path, content):
    """A file that is not a sorted list of digests is refused when it is opened."""
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        BreachedFile(path)


def test_missing_file_is_refused(tmp_path):
    """A missing file is refused when it is opened."""
    with pytest.raises(ConfigurationError):
        BreachedFile(tmp_path / "none.txt")


@pytest.fixture
def service():
    """Return a service on loopback that records its requests, and answers as a test sets it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.calls.append((self.path, self.headers["Add-Padding"]))
            server.cookies.append(self.headers["Cookie"])
            body = server.answer(self.path.rpartition("/")[2])
            self.send_response(server.status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Set-Cookie", "caller=1; Path=/")
            if server.status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            for byte in body if server.drips else ():
                try:
                    self.wfile.write(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.1)
            if not server.drips:
                self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.calls, server.cookies, server.status, server.drips = [], [], 200, False
    server.answer = lambda prefix: "\r\n".join(
        [f"{digest[5:]}:3" for digest in map(_digest, KNOWN) if digest.startswith(prefix)] + ["0" * 35 + ":0"]
    ).encode()
    server.url = f"http://127.0.0.1:{server.server_port}/range/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ask(service):
    """Return a function that asks the service about a password."""
    clients = []

    def ask(password, **options):
        clients.append(BreachedService(options.pop("url", service.url), **options))
        return clients[-1].is_breached(password)

    yield ask
    for client in clients:
        client.close()


def test_service_knows_breached_passwords(ask):
    """A password is known if the rest of its digest is in the answer."""
    assert ask(KNOWN[0])
    assert not ask("another")


def test_service_learns_five_digits_only(service, ask):
    """The service gets five digits of the digest, and a request for padding."""
    ask("another")
    assert service.calls == [(f"/range/{_digest('another')[:5]}", "true")]


def test_service_gets_no_cookies(service):
    """A cookie that the service sets is not sent back."""
    known = BreachedService(service.url)
    known.is_breached("another")
    known.is_breached("a third")
    known.close()
    assert service.cookies == [None, None]


def test_padding_is_no_breach(service, ask):
    """A line with the count 0 is padding, and no breach."""
    service.answer = lambda prefix: f"{_digest('another')[5:]}:0".encode()
    assert not ask("another")


@pytest.mark.parametrize("status", [302, 404, 429, 500])
def test_service_that_does_not_answer_is_an_outage(service, ask, status):
    """A status other than 200 is an outage, or is ignored with `fail_open`; no redirect is followed."""
    service.status = status
    with pytest.raises(VerificationUnavailableError):
        ask("another")
    assert not ask(KNOWN[0], fail_open=True)
    assert len(service.calls) == 2


def test_endless_answer_is_an_outage(service, ask):
    """An answer of two megabytes is an outage."""
    service.answer = lambda prefix: b"0" * 2_000_000
    with pytest.raises(VerificationUnavailableError):
        ask("another")


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"<!doctype html><title>Home</title>",
        b'{"error": "no"}',
        b"A" * 40 + b":1",
        b"A" * 27 + b":1",
    ],
    ids=["no text", "a page", "JSON", "whole digests", "digests of NTLM"],
)
def test_answer_that_is_no_list_is_an_outage(service, ask, body):
    """An answer that is no list of digests is an outage."""
    service.answer = lambda prefix: body
    with pytest.raises(VerificationUnavailableError):
        ask("another")


@pytest.mark.parametrize("body", [b"", b"A" * 35, b"a" * 35 + b":2\r\n", b"\n" + b"A" * 35 + b":2 \n"])
def test_forms_of_a_list(service, ask, body):
    """A list may be empty, without counts, in lower case, and with empty lines."""
    service.answer = lambda prefix: body
    assert not ask("another")


def test_service_that_is_down_is_an_outage(service, ask):
    """A service that does not listen is an outage."""
    with pytest.raises(VerificationUnavailableError):
        ask("another", url="http://127.0.0.1:9/", timeout=0.5)


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://127.0.0.1/", "example.com"])
def test_service_must_be_https(url):
    """The URL of a service must be https, except on loopback."""
    with pytest.raises(ConfigurationError):
        BreachedService(url)


@pytest.mark.parametrize("timeout", [0, 31])
def test_service_has_a_timeout(timeout):
    """A timeout of 0 or of more than 30 seconds is refused."""
    with pytest.raises(ConfigurationError):
        BreachedService(timeout=timeout)


@pytest.mark.slow
def test_service_that_drips_is_given_up_in_time(service, ask):
    """The timeout is for the whole answer, and not for each byte."""
    begun = time.monotonic()
    service.drips = True
    with pytest.raises(VerificationUnavailableError):
        ask("another", timeout=0.5)
    assert time.monotonic() - begun < 5


def test_service_that_fails_is_left_alone(service, caplog):
    """After three failures the service is not asked again at once, and no password is logged."""
    service.status = 500
    known = BreachedService(service.url)
    for _ in range(10):
        with pytest.raises(VerificationUnavailableError):
            known.is_breached("another")
    known.close()
    assert len(service.calls) == 3
    assert caplog.text.count("the service of breached passwords cannot be asked: status 500") == 3
    assert "another" not in caplog.text


# --- a list of passwords as they are


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("zebra\n\npassword\r\ncorrect horse\nStraße\n", encoding="utf-8")
    return BreachedWords(path)


@pytest.mark.parametrize("password", ["zebra", "password", "PassWord", "correct horse", "strasse", " zebra"])
def test_list_knows_its_passwords(words, password):
    """A list of words finds its passwords regardless of case and of order."""
    assert words.is_breached(password)


@pytest.mark.parametrize("password", ["", "zebr", "zebras", "horse", "\ud800"])
def test_list_knows_no_others(words, password):
    """A list of words does not find beginnings or parts of its words, nor the empty text."""
    assert not words.is_breached(password)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty_list_is_refused(tmp_path, content):
    """An empty list is refused, because it accepts every password."""
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="nothing in it"):
        BreachedWords(path)


def test_long_list_is_refused(tmp_path, monkeypatch):
    """A list of words beyond the limit of memory is refused, and so is a missing one."""
    monkeypatch.setattr(breaches, "MAX_WORDS", 100)
    path = tmp_path / "words.txt"
    path.write_text("x\n" * 60)
    with pytest.raises(ConfigurationError, match="more than"):
        BreachedWords(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BreachedWords(tmp_path / "none.txt")

"""Simulate a secret scanner such as GitHub: it serves its public keys with an ETag, and signs reports."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from remote.servers import Answer, Seen, Server, answer, serving

KEYS_PATH = "/meta/public_keys/secret_scanning"
ENDPOINT = "/v1/secret-scanning"
#: The sample of GitHub's documentation, and its public key.
SAMPLE_IDENTIFIER = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c"
SAMPLE_SIGNATURE = (
    "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg=="
)
SAMPLE_BODY = b'[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]'
SAMPLE_KEY = (
    "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd\n"
    "AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==\n-----END PUBLIC KEY-----\n"
)


class Scanner:
    """Sign with the newest key, and serve a list of all keys.

    Attributes:
        url: of the list.
        status: the status for the list, instead of 200 and 304.
        raw: the bytes to serve instead of the list.
        fields: more fields of the answers.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.url = f"{server.url}{KEYS_PATH}"
        self.keys: dict[str, Any] = {}
        self.status = 200
        self.raw: Any = None
        self.fields: dict[str, Any] = {}
        server.pages[KEYS_PATH] = self._answer
        self.add_key()

    def add_key(self, curve: ec.EllipticCurve | None = None) -> str:
        """Begin to sign with another key, and return its identifier."""
        key = ec.generate_private_key(curve or ec.SECP256R1())
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.identifier = sha256(pem).hexdigest()
        self.keys[self.identifier] = (key, pem.decode())
        return self.identifier

    @property
    def document(self) -> dict[str, Any]:
        """Return the list."""
        members = [
            {"key_identifier": name, "key": pem, "is_current": name == self.identifier}
            for name, (_, pem) in self.keys.items()
        ]
        return {"public_keys": members}

    @property
    def requests(self) -> list[Seen]:
        """Return the requests for the list."""
        return [seen for seen in self._server.seen if seen.path == KEYS_PATH]

    def _answer(self, seen: Seen) -> Answer:
        document = self.document if self.raw is None else self.raw
        if self.status != 200:
            return answer({}, self.status, **self.fields)
        etag = f'W/"{sha256(json.dumps(document).encode()).hexdigest()}"'
        if seen.headers.get("if-none-match") == etag:
            return Answer(b"", 304, {"ETag": etag})
        return answer(document, ETag=etag, **self.fields)

    def sign(self, body: bytes, identifier: str | None = None) -> dict[str, str]:
        """Return the fields of a report with this body."""
        name = identifier or self.identifier
        signature = self.keys[name][0].sign(body, ec.ECDSA(hashes.SHA256()))
        return fields(name, base64.b64encode(signature).decode())

    def post(self, client: Any, matches: Any, **more: Any) -> Any:
        """Send a report."""
        body = matches if isinstance(matches, bytes) else json.dumps(matches).encode()
        return client.post(ENDPOINT, content=body, headers=self.sign(body), **more)


def fields(identifier: str, signature: str) -> dict[str, str]:
    """Return the fields that name a key and a signature."""
    return {
        "Content-Type": "application/json",
        "Github-Public-Key-Identifier": identifier,
        "Github-Public-Key-Signature": signature,
    }


def match(token: str, url: str = "https://github.com/o/r/blob/1/a.txt", **more: Any) -> dict[str, Any]:
    """Return a match, as GitHub sends it."""
    return {"token": token, "type": "example_api_key", "url": url, "source": "Content", **more}


def label(token: str, text: str, kind: str = "example_api_key") -> dict[str, str]:
    """Return the answer about a match."""
    return {"token_hash": sha256(token.encode()).hexdigest(), "token_type": kind, "label": text}


@contextmanager
def scanning() -> Iterator[Scanner]:
    """Run a scanner on loopback."""
    with serving() as server:
        yield Scanner(server)

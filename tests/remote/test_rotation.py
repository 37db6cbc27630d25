"""Rotation of keys under load: tokens by published keys pass, and those by withdrawn keys do not."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from authguard import Guard, HTTPOptions, JWTVerifier, RemoteKeySet
from authguard._core.jose.compact import read_compact
from authguard.drivers import run
from authguard.drivers.asynchronous import run as run_async
from authguard.errors import InvalidSignatureError
from remote.servers import Answer, Server, answer, until
from support import AUDIENCE, NOW, bearer, claims, ec_key, jwk, make_token, pem

pytestmark = pytest.mark.slow

KEYS = {"old": ec_key(), "new": ec_key.__wrapped__()}
SECRETS = {name: f"{name}-k3J9vQ2xL7mZ4pR8tW1yB6nC5sD0fGhAqUeIoXz" for name in KEYS}
TTL = 60
ISSUER = "http://127.0.0.1"
#: A timeout on a busy machine would be an outage, in which withdrawn keys are still accepted.
PATIENT = HTTPOptions(timeout=30, connect_timeout=30)


class Held:
    """One source of keys.

    Attributes:
        stated: the seconds after which a withdrawn key is refused, as documented.
    """

    stated = float(TTL)
    algorithm = "ES256"
    has_kid = True

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.issuer = server.url

    def publish(self, names: Sequence[str]) -> None:
        """Publish these keys, and no others."""
        raise NotImplementedError

    def break_down(self) -> None:
        """Publish a document that is not a key set."""
        raise NotImplementedError

    def keys(self) -> Any:
        """Return the keys that the verifier is built with."""
        raise NotImplementedError

    def guard(self) -> Guard:
        """Return a guard with keys from this source."""
        return Guard(
            JWTVerifier(self.keys(), algorithms=[self.algorithm], issuer=self.issuer, audience=AUDIENCE)
        )

    def signing_key(self, name: str) -> Any:
        """Return the private key or secret of the issuer."""
        return KEYS[name]

    def token(self, name: str, number: int) -> str:
        """Return a token by a key."""
        members = {"kid": name} if self.has_kid else {}
        text: str = make_token(
            claims(iss=self.issuer, sub=str(number), exp=NOW + 30 * 86400),
            algorithm=self.algorithm,
            key=self.signing_key(name),
            **members,
        )
        return text


class Remote(Held):
    """A key set by URL, with kids."""

    key_ids = True

    def publish(self, names: Sequence[str]) -> None:
        keys = [jwk(KEYS[name], **({"kid": name} if self.key_ids else {})) for name in names]
        self.server.pages["/jwks"] = answer({"keys": keys})

    def break_down(self) -> None:
        self.server.pages["/jwks"] = Answer(b'{"keys": [{"kty": "EC", "kid": "new"', headers={})

    def keys(self) -> Any:
        return RemoteKeySet(f"{self.server.url}/jwks", ttl=TTL, http=PATIENT)


class RemoteWithoutKid(Remote):
    """A key set without kids, and tokens without a kid."""

    key_ids = has_kid = False


class RemoteWithUnknownKid(Remote):
    """A key set without kids, and tokens with a kid."""

    key_ids = False


class RemoteTokensWithoutKid(Remote):
    """A key set with kids, and tokens without a kid."""

    has_kid = False


class RemotePem(Remote):
    """PEM by URL."""

    has_kid = False

    def publish(self, names: Sequence[str]) -> None:
        text = "".join(pem(KEYS[name]) for name in names)
        self.server.pages["/jwks"] = Answer(text.encode(), headers={"Content-Type": "text/plain"})


class RemoteByKid(Held):
    """Each key at a URL of its own."""

    def publish(self, names: Sequence[str]) -> None:
        for name in KEYS:
            self.server.pages.pop(f"/keys/{name}", None)
        for name in names:
            self.server.pages[f"/keys/{name}"] = Answer(pem(KEYS[name]).encode(), headers={})

    def break_down(self) -> None:
        for name in KEYS:
            self.server.pages[f"/keys/{name}"] = Answer(b"<html>", headers={})

    def keys(self) -> Any:
        return RemoteKeySet(f"{self.server.url}/keys/{{kid}}", ttl=TTL, http=PATIENT)


class Discovered(Remote):
    """The key set of the metadata of the issuer."""

    def guard(self) -> Guard:
        self.server.pages["/.well-known/openid-configuration"] = answer(
            {"issuer": self.issuer, "jwks_uri": f"{self.server.url}/jwks"}
        )
        return Guard(JWTVerifier.from_issuer(self.issuer, audience=AUDIENCE, ttl=TTL, http=PATIENT))


class File(Held):
    """A key set in a file, which is replaced."""

    stated = 31.0

    @property
    def path(self) -> Path:
        """Return the path of the file."""
        return self.folder / "keys"

    def write(self, content: str) -> None:
        """Replace the file at once."""
        other = self.folder / "other"
        other.write_text(content)
        os.replace(other, self.path)

    def publish(self, names: Sequence[str]) -> None:
        self.write(json.dumps({"keys": [jwk(KEYS[name], kid=name) for name in names]}))

    def break_down(self) -> None:
        self.write('{"keys": [')

    def keys(self) -> Any:
        return self.path


class PemFile(File):
    """PEM keys without kids in a file."""

    has_kid = False

    def publish(self, names: Sequence[str]) -> None:
        self.write("".join(pem(KEYS[name]) for name in names))


class SecretFiles(File):
    """Secrets in two files, as orchestrators mount them: the newest and the previous one."""

    algorithm = "HS256"
    has_kid = False

    def publish(self, names: Sequence[str]) -> None:
        self.write(SECRETS[names[-1]])
        before = self.folder / "before.new"
        before.write_text(SECRETS[names[0]])
        os.replace(before, self.folder / "before")

    def break_down(self) -> None:
        self.path.unlink()

    def keys(self) -> Any:
        return [self.path, self.folder / "before"]

    def signing_key(self, name: str) -> Any:
        return SECRETS[name]


WAYS = [
    Remote, RemoteWithoutKid, RemoteWithUnknownKid, RemoteTokensWithoutKid, RemotePem, RemoteByKid,
    Discovered, File, PemFile, SecretFiles,
]  # fmt: skip


@pytest.fixture(params=WAYS, ids=[way.__name__ for way in WAYS])
def held(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> Held:
    """Build each source of keys with its old key."""
    way: Held = request.param(server, tmp_path)
    way.publish(["old"])
    return way


Phase = Callable[..., set[int]]


@pytest.fixture(params=["threads", "event loop"])
def phase(request: pytest.FixtureRequest, held: Held) -> Iterator[Phase]:
    """Provide a function that presents many tokens at once at a time, and returns the statuses."""
    guard = held.guard()
    tokens = {name: [held.token(name, number) for number in range(25)] for name in KEYS}
    seen = dict.fromkeys(KEYS, 0)

    def texts(name: str) -> list[str]:
        # Some are presented again, and some are first-seen.
        seen[name] = min(25, seen[name] + 5)
        return tokens[name][: seen[name]] * 4

    if request.param == "threads":
        with ThreadPoolExecutor(8) as pool:

            def in_threads(name: str, now: float, meanwhile: Callable[[], None] | None = None) -> set[int]:
                futures = [pool.submit(run, guard.decide(bearer(text), now)) for text in texts(name)]
                if meanwhile:
                    meanwhile()
                return {status_of(future.result()) for future in futures}

            yield in_threads
    else:
        with asyncio.Runner() as runner:

            def in_loop(name: str, now: float, meanwhile: Callable[[], None] | None = None) -> set[int]:
                async def main() -> set[int]:
                    futures = [
                        asyncio.ensure_future(run_async(guard.decide(bearer(text), now)))
                        for text in texts(name)
                    ]
                    await asyncio.sleep(0)
                    if meanwhile:
                        meanwhile()
                    return set(map(status_of, await asyncio.gather(*futures)))

                return runner.run(main())

            yield in_loop
            runner.run(guard.aclose())
    guard.close()


def status_of(decision: Any) -> int:
    """Return the status that a caller gets."""
    refusal = getattr(decision, "refusal", None)
    return 200 if refusal is None else int(refusal.status)


def test_keys_rotate_under_load(held: Held, phase: Phase) -> None:
    """Tokens by a new key are accepted once it is published, and by the old one until it is withdrawn."""
    assert phase("old", NOW) == {200}
    assert phase("old", NOW + 5, lambda: held.publish(["old", "new"])) == {200}
    for second in (5.0, 6.0, 20.0, 59.0, 61.0, 100.0):
        assert phase("new", NOW + second) == {200}
        assert phase("old", NOW + second) == {200}
    withdrawn = NOW + 110
    assert phase("new", withdrawn, lambda: held.publish(["new"])) == {200}
    for second in (held.stated, held.stated + 1, held.stated + 300):
        assert phase("old", withdrawn + second) == {401}
        assert phase("new", withdrawn + second) == {200}


class SlowToken:
    """A token whose verification calls a function, as if another thread ran at that time."""

    def __init__(self, text: str, meanwhile: Callable[[], object]) -> None:
        token = read_compact(text)
        self.header, self.signed, self.payload, self._signature = (
            token.header, token.signed, token.payload, token.signature,
        )  # fmt: skip
        self.meanwhile: Callable[[], object] | None = meanwhile

    @property
    def signature(self) -> bytes:
        """Return the signature; the function is called at the first read, after the choice of the key set."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return self._signature


@pytest.mark.parametrize("way", [RemoteWithoutKid, RemoteTokensWithoutKid, RemotePem, Remote])
@pytest.mark.parametrize("after", [59.0, 60.0], ids=["refreshed ahead", "fetched when due"])
def test_a_key_does_not_get_the_time_of_a_set_without_it(
    server: Server, tmp_path: Path, way: type[Remote], after: float
) -> None:
    """A key of the previous set is not valid for longer because another request has fetched the next set."""
    held = way(server, tmp_path)
    held.publish(["old", "new"])
    source = held.keys().open(frozenset({"ES256"}))
    run(source.verify(read_compact(held.token("old", 1)), NOW))
    held.publish(["new"])
    moment = NOW + after

    def fetch() -> None:
        run(source.verify(read_compact(held.token("new", 1)), moment))
        until(lambda: server.count("/jwks") == 2 and not source._state.fetching)

    slow: Any = SlowToken(held.token("old", 2), fetch)
    if after < TTL or held.has_kid:  # a key is found by its kid before its signature is verified
        assert run(source.verify(slow, NOW + 59))[1] == NOW + 60
    else:
        with pytest.raises(InvalidSignatureError):
            run(source.verify(slow, moment))
    for channel in source.channels():
        for opened in channel.opened.values():
            opened.close()


def test_a_broken_set_refuses_no_good_token(held: Held, phase: Phase) -> None:
    """A broken key set leaves the known keys valid, and new keys count once it is repaired."""
    assert phase("old", NOW) == {200}
    held.break_down()
    for second in (29, 61, 120, 3600, 80_000):
        assert phase("old", NOW + second) == {200}
    held.publish(["old", "new"])
    assert phase("new", NOW + 80_061) == {200}
    assert phase("old", NOW + 80_062) == {200}


def test_an_empty_set_refuses_no_good_token(server: Server, tmp_path: Path) -> None:
    """An empty key set leaves the known keys valid for a day, by URL and in a file."""
    for way in (Remote, File):
        held = way(server, tmp_path)
        held.publish(["old"])
        guard = held.guard()
        text = held.token("old", 1)
        assert status_of(run(guard.decide(bearer(text), NOW))) == 200
        held.publish([])
        for second in (61, 3600, 86_399):
            assert status_of(run(guard.decide(bearer(text), NOW + second))) == 200
        assert status_of(run(guard.decide(bearer(text), NOW + 61 + 86_400))) == 503
        guard.close()


@pytest.mark.parametrize("kind", ["secrets", "PEM", "one PEM text", "a set"])
def test_a_list_of_keys_takes_both(kind: str) -> None:
    """A list with the new and the old key accepts both, and one without the old key refuses it."""

    def made(names: Sequence[str]) -> Guard:
        keys: Any = {
            "secrets": [SECRETS[name] for name in names],
            "PEM": [pem(KEYS[name]) for name in names],
            "one PEM text": "".join(pem(KEYS[name]) for name in names),
            "a set": {"keys": [jwk(KEYS[name]) for name in names]},
        }[kind]
        algorithm = "HS256" if kind == "secrets" else "ES256"
        return Guard(JWTVerifier(keys, algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE))

    def status(guard: Guard, name: str) -> int:
        key, algorithm = (SECRETS[name], "HS256") if kind == "secrets" else (KEYS[name], "ES256")
        text = make_token(claims(iss=ISSUER), algorithm=algorithm, key=key)
        return status_of(run(guard.decide(bearer(text), NOW)))

    for names in (["old"], ["new", "old"], ["old", "new"], ["new"]):
        guard = made(names)
        assert {name: status(guard, name) for name in KEYS} == {
            name: 200 if name in names else 401 for name in KEYS
        }

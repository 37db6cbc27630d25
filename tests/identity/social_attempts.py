"""Send browsers to providers and back, and simulate providers with given answers."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from starlette.testclient import TestClient

from authguard.identity.social import GitHub, OpenIDProvider, Provider
from identity.fake_servers import AnsweringServer
from identity.support import ISSUER, Clock
from support import jwk, make_token, rsa_key

APP = "https://yourapp.com/callback"


@contextlib.contextmanager
def answering() -> Iterator[AnsweringServer]:
    """Yield a server with given answers."""
    running = AnsweringServer()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        running.shutdown()
        thread.join()
        running.server_close()


@contextlib.contextmanager
def both_kinds(server: AnsweringServer, clock: Clock) -> Iterator[list[Provider]]:
    """Return GitHub and a provider of OpenID Connect, which both sign Ann in."""
    server.answers = {
        "/login/oauth/access_token": (200, {"access_token": "gho_t0ken", "token_type": "bearer"}),
        "/user": (200, {"id": 7, "login": "ann"}),
        "/user/emails": (200, [{"email": "ann@example.com", "primary": True, "verified": True}]),
        "/.well-known/openid-configuration": (
            200,
            {
                "issuer": server.url,
                "authorization_endpoint": server.url + "/authorize",
                "token_endpoint": server.url + "/token",
                "jwks_uri": server.url + "/jwks",
            },
        ),
        "/jwks": (200, {"keys": [jwk(rsa_key(), kid="k1", use="sig", alg="RS256")]}),
    }
    uris = [
        f"{ISSUER}{prefix}/auth/{name}/callback" for prefix in ("/api/v1", "/v1") for name in ("github", "op")
    ]
    made: list[Provider] = [
        GitHub("id", "cl1ent-s3cret", redirect_uris=[APP, *uris], url=server.url, api_url=server.url),
        OpenIDProvider("op", server.url, "id", "cl1ent-s3cret", redirect_uris=[APP, *uris], clock=clock),
    ]
    try:
        yield made
    finally:
        for provider in made:
            provider.close()


def id_token(server: AnsweringServer, clock: Clock, **claims: Any) -> None:
    """Set the provider's answer to a code: an ID token about Ann."""
    body = {"iss": server.url, "aud": "id", "sub": "u1", "exp": clock() + 60, "iat": clock()}
    body |= {"email": "ann@example.com", "email_verified": True, **claims}
    text = make_token(
        {name: value for name, value in body.items() if value is not ...},
        algorithm="RS256", key=rsa_key(), kid="k1",
    )  # fmt: skip
    server.answers["/token"] = 200, {"access_token": "at", "token_type": "Bearer", "id_token": text}


def start(client: TestClient, name: str = "github", **query: str) -> dict[str, str]:
    """Send a browser to a provider; return the parameters of its request there."""
    response = client.get(f"/v1/auth/{name}/authorize", params=query)
    assert response.status_code == 303, response.text
    return {key: value[0] for key, value in parse_qs(urlsplit(response.headers["location"]).query).items()}


def back(client: TestClient, name: str = "github", **query: str) -> httpx2.Response:
    """Send a browser back from a provider; return the answer."""
    return client.get(f"/v1/auth/{name}/callback", params=query)

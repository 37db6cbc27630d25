"""DPoP over real sockets, with the same results behind each server."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from authguard.testing import issue_token
from support import ec_key, jwk, make_proof, thumbprint
from wire.servers import KINDS


@pytest.fixture(params=KINDS, name="server")
def _server(request, serve):
    return serve(request.param, "dpop")


@pytest.fixture(name="token")
def _token(environment):
    cnf = {"jkt": thumbprint(jwk(ec_key()))}
    return issue_token(environment["WIRE_JWT_SECRET"], iss="https://issuer", aud="wire", cnf=cnf)


def authorization(token):
    return f"Authorization: DPoP {token}"


def proof(token, path="/admin", **changes):
    good = {"htu": f"https://api.example{path}", "iat": time.time()}
    return "DPoP: " + make_proof(token, **(good | changes))


def test_a_token_and_its_proof(server, token):
    """A token with its proof passes, for encoded spellings of the path and for any Host field."""
    assert server.send("/admin", authorization(token), proof(token)).status == 200
    assert server.send("/%61dmin?x=1", authorization(token), proof(token)).status == 200
    fields = (authorization(token), proof(token, "/admin/%C3%BC"), "Host: other.example")
    assert server.send("/admin/%c3%bc", *fields).status == 200


def test_a_proof_is_for_one_request(server, token):
    """A proof is refused for a second request, another path or another method."""
    once = proof(token)
    assert server.send("/admin", authorization(token), once).status == 200
    assert server.send("/admin", authorization(token), once).status == 401
    assert server.send("/admin/other", authorization(token), proof(token)).status == 401
    assert server.send("/admin", authorization(token), proof(token), method="POST").status == 401


def test_the_host_field_does_not_matter(server, token):
    """A proof for another origin is refused, although the Host field names that origin."""
    stolen = proof(token, htu="https://evil.example/admin")
    fields = ("Host: evil.example", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https")
    assert server.send("/admin", authorization(token), stolen, *fields).status == 401


def test_two_proofs_are_refused(server, token):
    """Two proofs in two lines are refused, whether the server joins them or not."""
    answer = server.send("/admin", authorization(token), proof(token), proof(token))
    assert answer.status == 401
    assert 'error="invalid_dpop_proof"' in answer.field("www-authenticate")


def test_as_bearer_it_is_refused(server, token):
    """A bound token as Bearer is refused, also after it was accepted with a proof."""
    for _ in range(2):
        answer = server.send("/admin", f"Authorization: Bearer {token}")
        assert answer.status == 401
        assert 'DPoP realm="api", error="invalid_token"' in answer.field("www-authenticate")
        assert server.send("/admin", authorization(token), proof(token)).status == 200


def test_of_many_at_once_one_passes(server, token):
    """Of twenty concurrent requests with one proof, one passes."""
    once = proof(token)
    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(lambda _: server.send("/admin", authorization(token), once).status, range(20))
        assert sorted(answers) == [200] + [401] * 19

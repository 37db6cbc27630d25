"""Kubernetes: projected tokens of service accounts, for an audience of their own.

Source of the shape: Kubernetes documentation, "Managing Service Accounts", bound tokens and discovery.
"""

import os

from authguard import Guard, HTTPOptions, JWTVerifier
from providers.building import DATES, Provider, Signer, Token, caller, discovery

ISSUER = "https://kubernetes.default.svc.cluster.local"
KEYS = "https://10.96.0.1:6443/openid/v1/jwks"  # the spelling of the API server
KEY = Signer("RS256", "Ml8V8rPhJpDFsHq4Gv0iXrBLhDxYQp3nT2vqBHZ0c5k")
ACCOUNT = "system:serviceaccount:shop:billing"


def guard() -> Guard:
    """Kubernetes service accounts."""
    verifier = JWTVerifier.from_issuer(
        "https://kubernetes.default.svc.cluster.local",
        audience="https://api.shop.svc",
        claims={
            ("kubernetes.io", "namespace"): "shop",
            ("kubernetes.io", "serviceaccount", "name"): ["billing", "web"],
        },
        http=HTTPOptions(ca_bundle=os.environ["CLUSTER_CA"], allow_private=True),
    )
    return Guard(verifier)


def bound(namespace: str, account: str) -> dict[str, object]:
    """Return the claims about a pod."""
    return {
        "namespace": namespace,
        "node": {"name": "node-1", "uid": "58456cb0-dd00-45ed-b797-5578fdceaced"},
        "pod": {"name": "billing-69cbfb9798-jv9gn", "uid": "778a530c-b3f4-47c0-9cd5-ab018fb64f33"},
        "serviceaccount": {"name": account, "uid": "a087d5a0-e1dd-43ec-93ac-f13d89cd13af"},
        "warnafter": DATES["iat"] + 300,
    }


TOKEN = Token(
    {
        "aud": ["https://api.shop.svc"],
        **DATES,
        "iss": ISSUER,
        "jti": "7d8d0c1b-8c2e-4c11-9f5e-3a5f0b1f6f0a",
        "kubernetes.io": bound("shop", "billing"),
        "nbf": DATES["iat"],
        "sub": ACCOUNT,
    },
    KEY,
)
LEGACY = Token(
    {
        "iss": "kubernetes/serviceaccount",
        "kubernetes.io/serviceaccount/namespace": "shop",
        "kubernetes.io/serviceaccount/secret.name": "billing-token-x1y2z",
        "kubernetes.io/serviceaccount/service-account.name": "billing",
        "sub": ACCOUNT,
    },
    KEY,
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: (
        discovery(ISSUER, KEYS, KEY.jwk(alg="RS256", use="sig"), response_types_supported=["id_token"])
        | {"https://10.96.0.1/openid/v1/jwks": {"keys": [KEY.jwk(alg="RS256", use="sig")]}}
    ),
    taken={"a pod": (TOKEN, caller(ACCOUNT))},
    refused={
        "audience": {"the API server": TOKEN.having(aud=[ISSUER])},
        "tenant": {
            "another cluster": TOKEN.having(iss="https://kubernetes.default.svc"),
            "another namespace": TOKEN.having({"kubernetes.io": bound("evil", "billing")}),
        },
        "client": {"another service account": TOKEN.having({"kubernetes.io": bound("shop", "default")})},
        "kind": {
            "a token of a secret": LEGACY,
            "one for us": LEGACY.having(TOKEN.claims, {"kubernetes.io": ...}),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired(), "never": TOKEN.having(exp=...)},
    },
)

"""Amazon Cognito user pools: ID tokens, for APIs that need the e-mail address.

Source of the shape: Amazon Cognito Developer Guide, "Understanding the identity (ID) token".
"""

from authguard import Guard, JWTVerifier
from providers.building import Provider, caller
from providers.cognito import CLIENT, ID_TOKEN, USER, pages
from providers.cognito import TOKEN as ACCESS_TOKEN


def guard() -> Guard:
    """Amazon Cognito: ID tokens."""
    verifier = JWTVerifier.from_issuer(
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AcmePool1",
        audience="1example23456789abcdefghij",
        id_tokens=True,
        claims={"token_use": "id", "email_verified": True},
        role_claims=["cognito:groups"],
    )
    return Guard(verifier)


PROVIDER = Provider(
    guard=guard,
    pages=pages,
    taken={"a user": (ID_TOKEN, caller(USER, roles=["editors"]))},
    refused={
        "audience": {"none": ID_TOKEN.having(aud=...)},
        "tenant": {
            "another pool": ID_TOKEN.having(iss="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Evil")
        },
        "client": {"another application, which is its audience": ID_TOKEN.having(aud="other")},
        "kind": {
            "an access token": ACCESS_TOKEN,
            "an access token of a bound resource": ACCESS_TOKEN.having(aud=CLIENT, email_verified=True),
            "an address that is not verified": ID_TOKEN.having(email_verified=False),
        },
        "signer": {"a stranger": ID_TOKEN.strange()},
        "expired": {"an hour ago": ID_TOKEN.expired()},
    },
)

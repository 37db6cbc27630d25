"""AWS Application Load Balancer: claims of the user, signed with padding by a key of the whole region.

Source of the shape: Elastic Load Balancing documentation, "Authenticate users", user claims encoding.
"""

from authguard import Guard, JWTVerifier, RemoteKeySet
from providers.building import EXPIRED, EXPIRES, Provider, Signer, Token, caller, in_field

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/50dc6c495c0c9188"
OTHER_ARN = "arn:aws:elasticloadbalancing:eu-west-1:666666666666:loadbalancer/app/evil/0000000000000000"
ISSUER, CLIENT = (
    "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AcmePool1",
    "1example23456789abcdefghij",
)
KEYS = "https://public-keys.auth.elb.eu-west-1.amazonaws.com"
KEY = Signer("ES256", "12345678-1234-4234-8234-123456789012")
NEXT = Signer("ES256", "87654321-1234-4234-8234-123456789012", owner="next")
USER = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


def guard() -> Guard:
    """AWS Application Load Balancer."""
    account = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
    verifier = JWTVerifier(
        RemoteKeySet("https://public-keys.auth.elb.eu-west-1.amazonaws.com/{kid}"),
        algorithms=["ES256"],
        issuer="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AcmePool1",
        audience=None,
        header="X-Amzn-OIDC-Data",
        padding=True,
        header_claims={
            "signer": f"{account}:loadbalancer/app/shop/50dc6c495c0c9188",
            "client": "1example23456789abcdefghij",
        },
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "sub": USER,
        "email_verified": "true",
        "email": "ann@acme.example",
        "username": "ann",
        "exp": EXPIRES,
        "iss": ISSUER,
    },
    KEY,
    {"typ": "JWT", "iss": ISSUER, "client": CLIENT, "signer": ARN, "exp": EXPIRES},
    padded=True,
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: {f"{KEYS}/{key.kid}": key.pem() for key in (KEY, NEXT)},
    send=in_field("X-Amzn-OIDC-Data"),
    taken={"a user": (TOKEN, caller(USER)), "the next key": (TOKEN.signed(NEXT), caller(USER))},
    refused={
        "audience": {"an API, which no load balancer writes": TOKEN.having(aud="https://api.example.com")},
        "tenant": {
            "another pool": TOKEN.having(iss="https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Evil")
        },
        "client": {"another application": TOKEN.headed(client="other"), "none": TOKEN.headed(client=...)},
        "kind": {"an ID token": TOKEN.having(token_use="id")},
        "signer": {
            "another load balancer of the region": TOKEN.headed(signer=OTHER_ARN),
            "no load balancer": TOKEN.headed(signer=...),
            "a stranger": TOKEN.strange(),
            "a key that is not published": TOKEN.signed(Signer("ES256", "unknown")),
            "a path in the place of a kid": TOKEN.signed(Signer("ES256", "../evil")),
        },
        "expired": {
            "ten minutes ago": TOKEN.expired().headed(exp=EXPIRED),
            "never": TOKEN.having(exp=...),
        },
    },
)

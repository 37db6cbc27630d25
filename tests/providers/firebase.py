"""Firebase Authentication: ID tokens, whose keys are certificates by `kid`.

Source of the shape: Firebase documentation, "Verify ID tokens using a third-party JWT library".
"""

from authguard import Guard, JWTVerifier, RemoteKeySet
from providers.building import DATES, Provider, Signer, Token, caller

KEYS = "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
KEY = Signer("RS256", "d8b8a3a3d2a5c6ac0a5d1c2b8f3d5c7e9a1b2c3d")
OLD = Signer("RS256", "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567", owner="former")
USER = "uK9p3bX1m2ZQe4Rt7Yv0Wc5Ns8J2"


def guard() -> Guard:
    """Firebase."""
    certificates = "https://www.googleapis.com/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"
    verifier = JWTVerifier(
        RemoteKeySet(certificates),
        algorithms=["RS256"],
        issuer="https://securetoken.google.com/acme-shop",
        audience="acme-shop",
        claims={"firebase.sign_in_provider": ["password", "google.com"]},
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "name": "Ann",
        "iss": "https://securetoken.google.com/acme-shop",
        "aud": "acme-shop",
        "auth_time": DATES["iat"],
        "user_id": USER,
        "sub": USER,
        **DATES,
        "email": "ann@acme.example",
        "email_verified": False,
        "roles": ["editor"],  # a custom claim
        "firebase": {"identities": {"email": ["ann@acme.example"]}, "sign_in_provider": "password"},
    },
    KEY,
    {"typ": "JWT"},
)
ANONYMOUS = TOKEN.having(
    email=..., name=..., provider_id="anonymous", firebase={"identities": {}, "sign_in_provider": "anonymous"}
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: {KEYS: {OLD.kid: OLD.certificate(), KEY.kid: KEY.certificate()}},
    taken={
        "a user": (TOKEN, caller(USER, roles=["editor"])),
        "signed by the key before": (TOKEN.signed(OLD), caller(USER, roles=["editor"])),
    },
    refused={
        "audience": {"another project's": TOKEN.having(aud="evil-shop")},
        "tenant": {
            "another project": TOKEN.having(iss="https://securetoken.google.com/evil-shop", aud="evil-shop")
        },
        "kind": {
            "a session cookie": TOKEN.having(iss="https://session.firebase.google.com/acme-shop"),
            "a custom token": Token(
                {
                    "iss": "sdk@acme-shop.iam.gserviceaccount.com",
                    "sub": "sdk@acme-shop.iam.gserviceaccount.com",
                    "aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit",
                    **DATES,
                    "uid": USER,
                },
                KEY,
            ),
            "an anonymous user": ANONYMOUS,
        },
        "signer": {
            "a stranger": TOKEN.strange(),
            "the emulator, which signs nothing": TOKEN.signed(Signer("none", secret="-")),
        },
        "expired": {"an hour ago": TOKEN.expired()},
    },
    cannot={"client": "the project is the audience; applications of one project are not told apart"},
)

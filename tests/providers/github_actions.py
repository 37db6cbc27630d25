"""GitHub Actions: tokens of jobs, from one issuer for all repositories of the world.

Source of the shape: GitHub documentation, "OpenID Connect reference".
"""

from authguard import Guard, JWTVerifier
from providers.building import DATES, Opaque, Provider, Signer, Token, caller, discovery

ISSUER = "https://token.actions.githubusercontent.com"
KEY = Signer("RS256", "cc413527-173f-5a05-976e-9c52b1d7b431")
JOB = "repo:acme/shop:environment:production"


def guard() -> Guard:
    """GitHub Actions."""
    verifier = JWTVerifier.from_issuer(
        "https://token.actions.githubusercontent.com",
        audience="https://api.example.com",
        claims={
            "repository_owner_id": "1234567",
            "repository": ["acme/shop", "acme/billing"],
            "environment": "production",
            "ref": "refs/heads/main",
            "event_name": ["push", "workflow_dispatch"],
        },
    )
    return Guard(verifier)


TOKEN = Token(
    {
        "jti": "example-id",
        "sub": JOB,
        "aud": "https://api.example.com",
        "ref": "refs/heads/main",
        "sha": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
        "repository": "acme/shop",
        "repository_owner": "acme",
        "actor_id": "12",
        "repository_visibility": "private",
        "repository_id": "74",
        "repository_owner_id": "1234567",
        "run_id": "9876543210",
        "run_number": "10",
        "run_attempt": "2",
        "runner_environment": "github-hosted",
        "actor": "ann",
        "workflow": "release",
        "head_ref": "",
        "base_ref": "",
        "event_name": "push",
        "ref_type": "branch",
        "ref_protected": "true",
        "environment": "production",
        "job_workflow_ref": "acme/shop/.github/workflows/release.yml@refs/heads/main",
        "iss": ISSUER,
        "nbf": DATES["iat"],
        **DATES,
    },
    KEY,
    {"typ": "JWT", "x5t": "x5t-of-the-key"},
)

PROVIDER = Provider(
    guard=guard,
    pages=lambda: discovery(
        ISSUER, f"{ISSUER}/.well-known/jwks", KEY.jwk(alg="RS256", use="sig", x5c=KEY.x5c(), x5t=KEY.x5t())
    ),
    taken={
        "a job": (TOKEN, caller(JOB)),
        "a job that was started by hand": (TOKEN.having(event_name="workflow_dispatch"), caller(JOB)),
        "a job of the other repository": (
            TOKEN.having(repository="acme/billing", sub="repo:acme/billing:environment:production"),
            caller("repo:acme/billing:environment:production"),
        ),
    },
    refused={
        "audience": {"what is the audience by itself": TOKEN.having(aud="https://github.com/acme")},
        "tenant": {
            "another owner": TOKEN.having(repository_owner="evil", repository_owner_id="666"),
            "another owner who took the name": TOKEN.having(repository_owner_id="666"),
            "an issuer of an enterprise": TOKEN.having(iss=f"{ISSUER}/evil"),
        },
        "client": {"another repository": TOKEN.having(repository="acme/toys")},
        "kind": {
            "a job of a pull request": TOKEN.having(ref="refs/pull/7/merge", event_name="pull_request"),
            "a job of a pull request, of the branch": TOKEN.having(event_name="pull_request_target"),
            "a job of another branch": TOKEN.having(ref="refs/heads/test"),
            "a job without environment": TOKEN.having(environment=...),
            "the token of the job for GitHub": Opaque("ghs_16C7e42F292c6912E7710c838347Ae178B4a"),
        },
        "signer": {"a stranger": TOKEN.strange()},
        "expired": {"an hour ago": TOKEN.expired()},
    },
)

"""Guard Python web applications: authenticate each request before it reaches them.

    request ─► credential ─► verifier ─► principal ─► policy ─► decision

Start with `Guard`; wrap an application with `authguard.asgi.AuthGuardMiddleware` or
`authguard.wsgi.AuthGuardMiddleware`.
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from authguard import errors
from authguard._core.answer.metadata import ResourceMetadata
from authguard._core.answer.redirect import safe_next
from authguard._core.answer.refusal import Refusal
from authguard._core.callbacks import in_memory
from authguard._core.credential.cookies import AccessCookie
from authguard._core.deciding.outside import Driving
from authguard._core.deciding.quotas import Quotas
from authguard._core.deciding.telling import DecisionEvent
from authguard._core.flow import Flow
from authguard._core.guard import Guard
from authguard._core.model import ANONYMOUS, Auth, Credential, Principal
from authguard._core.policy.policy import Verdict
from authguard._core.policy.rules import Rule
from authguard._core.proofs.dpop import DPoP
from authguard._core.proofs.mtls import MutualTLS
from authguard._core.quota import Quota
from authguard._core.quota_store import QuotaHealth
from authguard._core.remote.http import RemoteHealth
from authguard._core.request import RequestView
from authguard._extras import elsewhere
from authguard.errors import (
    AuthGuardError,
    ConfigurationError,
    ExpiredTokenError,
    InsufficientScopeError,
    InvalidTokenError,
    MissingCredentialsError,
    RefusedError,
    VerificationUnavailableError,
)
from authguard.issuing import TokenIssuer
from authguard.stores.counting.memory import MemoryQuotas
from authguard.stores.memory import MemoryRevocations
from authguard.verifiers.apikey import APIKey, APIKeyVerifier, digest_api_key
from authguard.verifiers.client_auth import ClientAuth
from authguard.verifiers.http import HTTPOptions
from authguard.verifiers.introspection import IntrospectionVerifier
from authguard.verifiers.jwt import JWTVerifier
from authguard.verifiers.keyfile import APIKeyFile
from authguard.verifiers.remote import RemoteKeySet

__version__ = "0.2.0"

Quotas.default_store = MemoryQuotas


def _run(flow: Flow[Any]) -> Any:
    from authguard.drivers.outside import run_outside

    Guard.driving = replace(Guard.driving, run=run_outside)  # later calls import nothing
    return run_outside(flow)


async def _arun(flow: Flow[Any]) -> Any:
    from authguard.drivers.asynchronous import run

    Guard.driving = replace(Guard.driving, arun=run)
    return await run(flow)


def _report(error: Exception) -> None:
    from authguard._logs.hooks import log_hook_failure

    log_hook_failure(error)


def _warn(text: str) -> None:
    from authguard._logs import logger

    logger.warning("%s", text)


# Imported on first use, because adapters import the drivers themselves.
Guard.driving = Driving(_run, _arun, time.time, _report, _warn)

__all__ = [
    "ANONYMOUS",
    "APIKey",
    "APIKeyFile",
    "APIKeyVerifier",
    "AccessCookie",
    "Auth",
    "AuthGuardError",
    "ClientAuth",
    "ConfigurationError",
    "Credential",
    "DPoP",
    "DecisionEvent",
    "ExpiredTokenError",
    "Guard",
    "HTTPOptions",
    "InsufficientScopeError",
    "IntrospectionVerifier",
    "InvalidTokenError",
    "JWTVerifier",
    "MemoryQuotas",
    "MemoryRevocations",
    "MissingCredentialsError",
    "MutualTLS",
    "Principal",
    "Quota",
    "QuotaHealth",
    "RefusedError",
    "RemoteHealth",
    "RemoteKeySet",
    "RequestView",
    "Refusal",
    "ResourceMetadata",
    "Rule",
    "TokenIssuer",
    "Verdict",
    "VerificationUnavailableError",
    "digest_api_key",
    "errors",
    "in_memory",
    "safe_next",
]

if not TYPE_CHECKING:
    __getattr__ = elsewhere(__name__)

"""Describe an endpoint where it is written: what it takes, what it answers, and how it refuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from inspect import cleandoc
from typing import Any, TypeVar

from authguard.errors import (
    AddressDeniedError,
    CrossSiteRequestError,
    InsufficientScopeError,
    InvalidRequestError,
    InvalidTokenError,
    MissingCredentialsError,
    QuotaUnavailableError,
    RateLimitedError,
    RefusedError,
)
from authguard.identity.errors import (
    InteractiveOnlyError,
    InvalidFieldsError,
    PayloadTooLargeError,
    StoreUnavailableError,
    UnsupportedMediaError,
)
from authguard.identity.web.bodies import JSONBody

Refusals = tuple[type[RefusedError], ...]
AnyEndpoint = TypeVar("AnyEndpoint", bound=Callable[..., Any])

_ATTRIBUTE = "__authguard_operation__"
_TOKENS: Refusals = (InvalidRequestError, MissingCredentialsError, InvalidTokenError, CrossSiteRequestError)


class Access(Enum):
    """Name how callers prove who they are.

    The value is the security requirements of the document, of which one has to be met: names of its schemes.
    """

    PUBLIC = ()
    #: A person may be signed in, and need not.
    ANYBODY = ((), ("bearer",), ("cookie",))
    PERSON = (("bearer",), ("cookie",))
    #: A person, or a program with an API key.
    OWNER = (("bearer",), ("apiKey",), ("cookie",))
    #: A client of OAuth, which may also name itself in the form.
    CLIENT = ((), ("client",))

    @property
    def refusals(self) -> Refusals:
        """Return the refusals of the guard."""
        if self is Access.PERSON:
            return (*_TOKENS, InteractiveOnlyError)
        if self is Access.OWNER:
            more = (InsufficientScopeError, AddressDeniedError, RateLimitedError, QuotaUnavailableError)
            return (*_TOKENS, *more, InteractiveOnlyError)  # the last one where there are no API keys
        return ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """Describe a parameter of the query, or a field of the request.

    Attributes:
        name: its name.
        description: its meaning.
        schema: its JSON schema.
        place: `query` or `header`.
        required: whether it has to be there.
    """

    name: str
    description: str
    schema: Mapping[str, Any]
    place: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Describe an endpoint.

    Attributes:
        answers: the type of the body by status; None for an answer without one.
        access: how callers prove who they are.
        json: the type of the body that it takes as JSON; None for none.
        form: the type of the body that it takes as a form; None for none.
        needs_body: whether the body has to be there.
        refused: the refusals, besides those of the guard and of the body.
        oauth: the statuses of refusals in the form of RFC 6749 section 5.2.
        parameters: those of query and fields; the ones of the path are known from it.
        fields: the description of each response field by its name; of the answers that are no refusals.
        pages: whether browsers come here, so that refusals may be pages.
        stores: whether the database is asked, which may be down.
    """

    answers: Mapping[int, Any]
    access: Access = Access.PUBLIC
    json: Any = None
    form: Any = None
    needs_body: bool = True
    refused: Refusals = ()
    oauth: tuple[int, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    pages: bool = False
    stores: bool = True

    @property
    def refusals(self) -> Refusals:
        """Return all refusals that are problem documents."""
        refused = (*self.access.refusals, *self.refused)
        if self.stores and StoreUnavailableError.status_code not in self.oauth:
            refused = (*refused, StoreUnavailableError)
        if isinstance(self.json, type) and issubclass(self.json, JSONBody):
            refused = (*refused, InvalidFieldsError, PayloadTooLargeError, UnsupportedMediaError)
        return tuple(dict.fromkeys(refused))


def operation(**described: Any) -> Callable[[AnyEndpoint], AnyEndpoint]:
    """Describe an endpoint; the arguments are those of `Operation`."""
    found = Operation(**described)

    def describe(endpoint: AnyEndpoint) -> AnyEndpoint:
        setattr(endpoint, _ATTRIBUTE, found)
        return endpoint

    return describe


def operation_of(endpoint: Callable[..., Any]) -> Operation:
    """Return the description of an endpoint.

    Raises:
        LookupError: if it has none.
    """
    found: Operation | None = getattr(endpoint, _ATTRIBUTE, None)
    if found is None:
        raise LookupError(f"{endpoint} must be described by @operation(…)")
    return found


def texts_of(endpoint: Callable[..., Any]) -> tuple[str, str]:
    """Return the summary and the description of an endpoint, from its docstring."""
    text = cleandoc(endpoint.__doc__ or "").partition("\n\nRaises:")[0]
    summary, _, more = text.partition("\n\n")
    return " ".join(summary.split()).removesuffix("."), " ".join(more.split())

"""Describe an endpoint where it is written: its input, its answers, and its refusals."""

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
    """Name the ways in which callers authenticate.

    The value is the list of security requirements in the document, one of which must be met: names of its
    schemes.
    """

    PUBLIC = ()
    #: Authentication of a user is optional.
    ANYBODY = ((), ("bearer",), ("cookie",))
    PERSON = (("bearer",), ("cookie",))
    #: A user, or a program with an API key.
    OWNER = (("bearer",), ("apiKey",), ("cookie",))
    #: An OAuth client, which may also authenticate in the form.
    CLIENT = ((), ("client",))

    @property
    def refusals(self) -> Refusals:
        """Return the refusals of the guard."""
        if self is Access.PERSON:
            return (*_TOKENS, InteractiveOnlyError)
        if self is Access.OWNER:
            more = (InsufficientScopeError, AddressDeniedError, RateLimitedError, QuotaUnavailableError)
            return (*_TOKENS, *more, InteractiveOnlyError)  # the last refusal only exists with API keys
        return ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """Describe a query parameter or a request field.

    Attributes:
        name: its name.
        description: its meaning.
        schema: its JSON schema.
        place: `query` or `header`.
        required: whether it is required.
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
        answers: the type of the body by status; None for an answer without a body.
        access: how callers authenticate.
        json: the type of the JSON body; None for no such body.
        form: the type of the form body; None for no such body.
        needs_body: whether the body is required.
        refused: the refusals, in addition to those of the guard and of the body.
        oauth: the statuses of refusals in the format of RFC 6749 section 5.2.
        parameters: those in query and fields; those in the path are read from it.
        fields: the description of each response field by name, for answers that are not refusals.
        pages: whether browsers request the path, so that refusals may be pages.
        stores: whether the database is used, which may be down.
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
    description = Operation(**described)

    def describe(endpoint: AnyEndpoint) -> AnyEndpoint:
        setattr(endpoint, _ATTRIBUTE, description)
        return endpoint

    return describe


def operation_of(endpoint: Callable[..., Any]) -> Operation:
    """Return the description of an endpoint.

    Raises:
        LookupError: if it has no description.
    """
    description: Operation | None = getattr(endpoint, _ATTRIBUTE, None)
    if description is None:
        raise LookupError(f"{endpoint} must be described by @operation(…)")
    return description


def texts_of(endpoint: Callable[..., Any]) -> tuple[str, str]:
    """Return the summary and the description of an endpoint, from its docstring."""
    text = cleandoc(endpoint.__doc__ or "").partition("\n\nRaises:")[0]
    summary, _, more = text.partition("\n\n")
    return " ".join(summary.split()).removesuffix("."), " ".join(more.split())

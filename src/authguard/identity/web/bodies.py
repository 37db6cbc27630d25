"""Check the bodies of requests: exactly the known fields. No error repeats a value."""

import codecs
from collections.abc import Mapping
from json import JSONDecodeError
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from authguard._core.strict_json import ConstantError, JSONError, RepeatedNameError
from authguard.identity.errors import InvalidFieldsError
from authguard.identity.mail.addresses import MAX_ADDRESS
from authguard.identity.tokens.cursors import MAX_CURSOR

MAX_MEMBERS = 20  # errors of a body; one for each field could make the answer larger than the request

_Email = Annotated[str, Field(min_length=1, max_length=MAX_ADDRESS)]
_Name = Annotated[str, Field(max_length=200)]
# Longer passwords would only cost time; the policy may require shorter ones.
_Password = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
_Token = Annotated[SecretStr, Field(min_length=1, max_length=16_384)]

_MAX_NAME = 40
_NO_OBJECT = "is not a JSON object"
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this request",
    "string_type": "is text",
    "int_type": "is a whole number",
    "list_type": "is a list",
    "dict_type": "is an object",
}
#: The messages with a bound or the accepted values, as the kind of the error describes them.
_BOUNDS = {
    "literal_error": "is one of {expected}",
    "greater_than_equal": "is at least {ge}",
    "less_than_equal": "is at most {le}",
    "string_too_short": "has at least {min_length} characters",
    "too_short": "has at least {min_length} characters",
    "string_too_long": "has at most {max_length} characters",
    "too_long": "has at most {max_length} characters",
}


class JSONBody(BaseModel):
    """Accept a JSON object with these fields and no others."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Register(JSONBody):
    """Take the body of `auth/register`; `name` and `full_name` have the same meaning."""

    email: _Email
    password: _Password
    name: _Name | None = None
    full_name: _Name | None = None

    @model_validator(mode="after")
    def _one_name(self) -> "Register":
        if self.name is not None and self.full_name is not None and self.name != self.full_name:
            raise ValueError("say name or full_name, not both")
        return self

    @property
    def display_name(self) -> str:
        """Return the name of the owner."""
        return self.name or self.full_name or ""


class Login(JSONBody):
    """Take the body of `auth/login`."""

    email: _Email
    password: _Password


class LoginJSON(JSONBody):
    """Take the body of `auth/login-json`."""

    username: _Email
    password: _Password


class LoginForm(LoginJSON):
    """Take the password form of OAuth 2, whose other fields, such as `grant_type`, are ignored."""

    model_config = ConfigDict(extra="ignore")


class Refresh(JSONBody):
    """Take the body of `auth/refresh`."""

    refresh_token: _Token


def _without_default(schema: dict[str, Any]) -> None:
    """Remove the default from a schema: clients leave the field out, and never send the default."""
    del schema["default"]


class RefreshOrNothing(Refresh):
    """Describe the body of `auth/refresh`, which may be an object without fields."""

    refresh_token: Annotated[_Token, Field(json_schema_extra=_without_default)] = SecretStr("")


class Email(JSONBody):
    """Take the body of `auth/forgot-password` and `auth/verify-email/resend`."""

    email: _Email


class OneTimeToken(JSONBody):
    """Take the body of `auth/verify-email/decline`."""

    token: _Token


class VerifyEmail(JSONBody):
    """Take the body of `auth/verify-email`; the password of the account proves that its owner has set it."""

    token: _Token
    password: _Password | None = None


class VerifyEmailForm(VerifyEmail):
    """Take the forms of the page that verifies an address; a new password replaces the old one."""

    new_password: _Password | None = None


class ResetPassword(JSONBody):
    """Take the body of `auth/reset-password`."""

    token: _Token
    new_password: _Password


class ChangePassword(JSONBody):
    """Take the body of `auth/change-password`."""

    current_password: _Password
    new_password: _Password


class ChangeEmail(JSONBody):
    """Take the body of `auth/change-email`; accounts without a password need none."""

    new_email: _Email
    password: _Password | None = None


class ConfirmEmail(JSONBody):
    """Take the body of `auth/change-email/confirm`; the password is for callers who are not signed in."""

    token: _Token
    password: _Password | None = None


class DeleteAccount(JSONBody):
    """Take the body of `auth/delete-account`; accounts without a password need none."""

    password: _Password | None = None


class EndSession(JSONBody):
    """Take the form on the page of an account that ends another session."""

    session: Annotated[str, Field(min_length=1, max_length=64)]
    # The place of the page with the form.
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] = ""


class Unlink(JSONBody):
    """Take the form on the page of an account that unlinks a provider."""

    provider: Annotated[str, Field(min_length=1, max_length=255)]


class SocialCallback(JSONBody):
    """Take the body of `auth/{provider}/callback`; `code_verifier` is for applications that use PKCE."""

    code: Annotated[SecretStr, Field(min_length=1, max_length=4096)]
    redirect_uri: Annotated[str, Field(min_length=1, max_length=2048)]
    code_verifier: Annotated[SecretStr, Field(min_length=43, max_length=128)] | None = None


def secret_text(secret: SecretStr | None) -> str | None:
    """Return the text of a field that may have been left out."""
    return None if secret is None else secret.get_secret_value()


AnyBody = TypeVar("AnyBody", bound=JSONBody)


def validate(kind: type[AnyBody], data: Mapping[Any, Any]) -> AnyBody:
    """Check a body.

    Raises:
        InvalidFieldsError: with a message for each field; `body` stands for the whole.
    """
    if len(data) > MAX_MEMBERS:
        raise InvalidFieldsError({"body": [f"must have at most {MAX_MEMBERS} fields"]})
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        for problem in error.errors(include_input=False, include_url=False):
            field = (
                str(problem["loc"][0]) if problem["loc"] and problem["type"] != "extra_forbidden" else "body"
            )
            message = _message(problem["type"], problem["msg"], problem["loc"], problem.get("ctx", {}))
            problems.setdefault(field, []).append(message)
        raise InvalidFieldsError(problems) from None


def _message(kind: str, text: str, location: tuple[int | str, ...], bounds: Mapping[str, Any]) -> str:
    if kind == "extra_forbidden":
        return f"{shown_name(str(location[0]))} {_MESSAGES[kind]}"
    if bounds.get("min_length") == 1:
        return "is empty"
    if kind in _BOUNDS:
        return _BOUNDS[kind].format_map({**bounds, "expected": _listed(bounds)})
    if kind == "value_error":
        return text.removeprefix("Value error, ")
    return _MESSAGES.get(kind, "is not what is expected here")


def _listed(bounds: Mapping[str, Any]) -> str:
    """Return the accepted values without the quotes of the library: `'now' or 'first_use'`."""
    return str(bounds.get("expected", "")).replace(" or ", ", ").replace("'", "")


def shown_name(name: str) -> str:
    """Return the name of a member as an answer shows it: only the characters of the names of fields."""
    return "".join(c for c in name[:_MAX_NAME] if c.isascii() and (c.isalnum() or c == "_"))


def fault_of(body: bytes, error: JSONError) -> str:
    """Return the message of the field `body`; it repeats no value.

    Args:
        body: the body of the request.
        error: the error of the reader that refused it.
    """
    if not body.strip():
        return f"{_NO_OBJECT}, but empty"
    if body.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark: leave it out"
    if isinstance(error, RepeatedNameError):
        return f"{shown_name(error.name) or 'a field'} was sent twice"
    if isinstance(error, ConstantError):
        return "has NaN or Infinity, which are no numbers in JSON"
    return _fault_of_text(error.__cause__)


def _fault_of_text(cause: BaseException | None) -> str:
    match cause:
        case None:
            return _NO_OBJECT
        case UnicodeDecodeError():
            return "is not UTF-8"
        case UnicodeEncodeError():
            return r"has half a character (a lone surrogate, from \ud800 to \udfff): write both halves"
        case JSONDecodeError():
            return f"{_NO_OBJECT}: its text has a fault in line {cause.lineno}, at character {cause.colno}"
        case RecursionError():
            return "is nested too deeply"
        case _:  # a ValueError of int()
            return "has a number of too many digits"

"""Options that are given an object around the text or the bytes, with the spelling that works."""

import enum
from typing import Any
from unittest.mock import Mock

import httpx
import pydantic
import pytest

from authguard import APIKeyVerifier, Guard, IntrospectionVerifier, JWTVerifier
from authguard.errors import ConfigurationError
from support import AUDIENCE, ISSUER, SECRET


class Place(enum.Enum):
    """Name an API."""

    API = "https://api.example.com"


URL = "https://api.example.com"
SECRET_TEXT = pydantic.SecretStr(SECRET)
WRAPPED: dict[str, tuple[Any, str]] = {
    "SecretStr": (SECRET_TEXT, r"write \.get_secret_value\(\) behind it"),
    "SecretBytes": (pydantic.SecretBytes(SECRET.encode()), r"write \.get_secret_value\(\) behind it"),
    "Enum": (Place.API, r"write \.value behind it"),
    "bytearray": (bytearray(SECRET.encode()), r"write bytes\(…\) around it"),
    "memoryview": (memoryview(SECRET.encode()), r"write bytes\(…\) around it"),
    "HttpUrl": (pydantic.HttpUrl(URL), r"write str\(…\) around it"),
    "httpx.URL": (httpx.URL(URL), r"write str\(…\) around it"),
}
VALUES = pytest.mark.parametrize(("value", "advice"), WRAPPED.values(), ids=WRAPPED)


def verifier(keys: Any = SECRET, **options: Any) -> JWTVerifier:
    """Return a verifier with one option that is wrong."""
    return JWTVerifier(keys, **{"algorithms": ["HS256"], "issuer": ISSUER, "audience": AUDIENCE, **options})


@VALUES
@pytest.mark.parametrize("option", ["audience", "client_ids"])
def test_a_wrapped_text_or_list(option: str, value: Any, advice: str) -> None:
    """An option for a text or a list of texts names the way to the text, and shows no secret."""
    with pytest.raises(ConfigurationError, match=advice) as raised:
        verifier(**{option: [value] if option == "client_ids" else value})
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("name", ["SecretStr", "SecretBytes", "bytearray", "memoryview"])
def test_wrapped_keys(name: str) -> None:
    """Keys in an object name the way to the secret, and do not show it."""
    value, advice = WRAPPED[name]
    with pytest.raises(ConfigurationError, match=rf"keys must .*{advice}") as raised:
        verifier(value)
    assert SECRET not in str(raised.value)


def test_a_wrapped_client_secret() -> None:
    """A client secret in an object names the way to the secret."""
    secret: Any = SECRET_TEXT
    with pytest.raises(ConfigurationError, match=r"client_secret must .*: write \.get_secret_value\(\)"):
        IntrospectionVerifier("https://i.example/introspect", client_id="api", client_secret=secret)


def test_a_secret_as_algorithms_is_not_shown() -> None:
    """Arguments in the wrong order do not show the secret in the error."""
    with pytest.raises(ConfigurationError, match=r"algorithms must be a list, got longer text") as raised:
        verifier(algorithms=SECRET)
    assert SECRET[:10] not in str(raised.value)


def test_a_mock_is_a_function_for_keys() -> None:
    """A mock of a test is called for each key, as a function is."""
    assert repr(Guard(APIKeyVerifier(Mock(return_value=None)))) == "Guard(APIKeyVerifier(header='X-API-Key'))"

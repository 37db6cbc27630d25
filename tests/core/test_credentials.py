"""The extraction of a credential from header fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authguard import AccessCookie, ConfigurationError, Credential, RefusedError
from authguard._core.credential.extractor import MAX_CREDENTIAL, Extractor
from authguard.errors import InvalidAPIKeyError, InvalidRequestError, MalformedTokenError
from support import FakeRequest

EXTRACTOR = Extractor(["X-API-Key", "X-Other"], ["sk_live_"], AccessCookie())
FIELDS = (b"authorization", b"x-api-key", b"x-other", b"cookie")


def extract(*headers, extractor=EXTRACTOR):
    return extractor.extract(FakeRequest(headers=headers, credential_fields=FIELDS))


AUTH, KEY, COOKIE = "authorization", "x-api-key", "cookie"


def test_the_fields_to_present_are_known():
    """The extractor lists the fields that an adapter must collect."""
    assert EXTRACTOR.fields == {b"authorization", b"x-api-key", b"x-other", b"cookie"}


@pytest.mark.parametrize("prefix", ["sk,live", "sk_live_,", ","], ids=str)
def test_a_prefix_with_a_comma_is_refused(prefix):
    """A prefix of API keys with a comma is refused, because a field cannot carry such a key."""
    with pytest.raises(ConfigurationError, match="must not contain a comma"):
        Extractor([], [prefix], None)


def test_without_a_cookie_cookies_are_no_credential_field():
    """A guard without a cookie does not read the Cookie field."""
    assert Extractor([], [], None).fields == {b"authorization"}


@pytest.mark.parametrize(
    ("headers", "credential"),
    [
        ([(AUTH, "Bearer a.b.c")], Credential("a.b.c", "bearer")),
        ([(AUTH, "bEaReR a.b.c")], Credential("a.b.c", "bearer")),
        ([(AUTH, " Bearer   a.b.c \t")], Credential("a.b.c", "bearer")),
        ([(AUTH, "Bearer a-._~+/==")], Credential("a-._~+/==", "bearer")),
        ([(AUTH, "Bearer sk_live_abc")], Credential("sk_live_abc", "api_key")),
        ([(KEY, "abc!")], Credential("abc!", "api_key")),
        ([(KEY, "\t abc ")], Credential("abc", "api_key")),
        ([("x-other", "abc")], Credential("abc", "api_key")),
        ([(COOKIE, "__Host-access_token=a.b.c")], Credential("a.b.c", "cookie")),
        ([(AUTH, "Bearer a.b.c"), (COOKIE, "__Host-access_token=d.e.f")], Credential("a.b.c", "bearer")),
        ([(KEY, "abc"), (COOKIE, "__Host-access_token=d.e.f")], Credential("abc", "api_key")),
        ([(AUTH, "Basic dTpw"), (KEY, "abc")], Credential("abc", "api_key")),
        ([(AUTH, "Basic dTpw"), (COOKIE, "__Host-access_token=d.e.f")], Credential("d.e.f", "cookie")),
        ([(AUTH, "Basic dTpw")], None),
        ([(AUTH, 'Digest username="a", realm="b"')], None),
        ([(AUTH, 'Digest username="a, Bearer b", realm="c"')], None),
        ([(AUTH, "AWS4-HMAC-SHA256 Credential=a/b/s3, SignedHeaders=host;x, Signature=f0")], None),
        (
            [(AUTH, "Bearer a.b.c"), (COOKIE, "__Host-access_token=x; __Host-access_token=y")],
            Credential("a.b.c", "bearer"),
        ),
        ([(AUTH, "Bearer a.b.c"), (COOKIE, "__Host-access_token=%%")], Credential("a.b.c", "bearer")),
        (
            [(KEY, "abc"), (COOKIE, "__Host-access_token=x; __Host-access_token=y")],
            Credential("abc", "api_key"),
        ),
        ([(AUTH, ""), (COOKIE, "__Host-access_token=d.e.f")], Credential("d.e.f", "cookie")),
        ([(AUTH, "")], None),
        ([(AUTH, "Bearerx a")], None),
        ([(AUTH, "Bearer\ta")], None),
        ([(COOKIE, "other=1")], None),
        ([], None),
    ],
    ids=[
        "bearer",
        "case",
        "spaces",
        "alphabet",
        "prefix",
        "key",
        "key-spaces",
        "other-field",
        "cookie",
        "bearer-and-cookie",
        "key-and-cookie",
        "basic-and-key",
        "basic-and-cookie",
        "basic",
        "digest",
        "digest-with-a-quoted-comma",
        "aws",
        "bearer-and-two-cookies",
        "bearer-and-a-broken-cookie",
        "key-and-two-cookies",
        "empty-and-cookie",
        "empty",
        "other-scheme",
        "tab",
        "other-cookie",
        "none",
    ],
)
def test_the_credential_is_found(headers, credential):
    """One well-formed credential is returned; a field with another scheme is ignored."""
    assert extract(*headers) == credential


@pytest.mark.parametrize(
    "headers",
    [
        [(AUTH, "Bearer a"), (AUTH, "Bearer a")],
        [(AUTH, "Basic a"), (AUTH, "Bearer a")],
        [(KEY, "a"), (KEY, "a")],
        [(KEY, "a"), ("x-other", "a")],
        [(AUTH, "Bearer a"), (KEY, "a")],
        [(KEY, ""), (KEY, "a")],
        [(KEY, "a,a")],
        [(KEY, "a, b")],
        [(KEY, ",")],
        [(KEY, "a,")],
        [("x-other", ",a")],
        [(KEY, "ä,b")],
        [(KEY, "a," * MAX_CREDENTIAL)],
        [(KEY, "a,b"), (COOKIE, "__Host-access_token=c")],
        [(AUTH, ""), (AUTH, "")],
        [(AUTH, ",")],
        [(AUTH, ",Bearer a")],
        [(AUTH, "Bearer a,")],
        [(AUTH, "Basic dTpw=,Basic dTpw=")],
        [(AUTH, "Basic dTpw==,")],
        [(AUTH, 'Digest a="b",')],
        [(AUTH, 'Digest a="b, Bearer c')],
        [(AUTH, 'Digest a="b", Digest a="b"')],
        [(AUTH, "Bearer"), (COOKIE, "__Host-access_token=c")],
        [(AUTH, "Bearer")],
        [(AUTH, "Bearer ")],
        [(AUTH, "Bearer a b")],
        [(AUTH, "Bearer a, Bearer b")],
        [(AUTH, "Bearer a,Bearer b")],
        [(AUTH, "Basic dTpw, Bearer a")],
        [(AUTH, 'Digest a="b", Bearer c')],
        [(AUTH, 'Digest a="b",bearer')],
        [(AUTH, 'Bearer "a"')],
        [(AUTH, "Bearer ä")],
        [(AUTH, "Bearer a\x00")],
        [(AUTH, "Bearer =")],
        [(AUTH, "Bearer a=b")],
        [(COOKIE, "__Host-access_token=a; __Host-access_token=b")],
    ],
    ids=lambda headers: ascii(" + ".join(f"{name} {value}" for name, value in headers))[:80],
)
def test_what_is_not_one_well_formed_credential_is_a_bad_request(headers):
    """Several, joined, empty or malformed credentials are refused."""
    with pytest.raises(InvalidRequestError):
        extract(*headers)


@pytest.mark.parametrize(
    "value",
    ["", " ", "a b", "ä", "a\x00", "a\x7f", "a" * (MAX_CREDENTIAL + 1)],
    ids=["empty", "space", "two", "not-ascii", "nul", "del", "too-long"],
)
def test_what_cannot_be_an_api_key_is_refused(value):
    """An API key that is empty, too long or not visible ASCII is refused."""
    with pytest.raises(InvalidAPIKeyError):
        extract((KEY, value))


def test_a_bad_key_is_not_rescued_by_a_cookie():
    """An invalid API key is refused, even if the request has a valid cookie."""
    with pytest.raises(InvalidAPIKeyError):
        extract((KEY, ""), (COOKIE, "__Host-access_token=a.b.c"))


def test_a_token_may_be_long():
    """A token of the maximal length is accepted."""
    assert extract((AUTH, "Bearer " + "a" * MAX_CREDENTIAL)).method == "bearer"


def test_a_token_may_not_be_too_long():
    """A token that is one byte too long is refused before it is decoded."""
    with pytest.raises(MalformedTokenError):
        extract((AUTH, "Bearer " + "a" * (MAX_CREDENTIAL + 1)))


@pytest.mark.parametrize("scheme", ["Digest", "Signature", "X"])
def test_parameters_of_another_scheme_are_read_up_to_a_bound(scheme):
    """Parameters of another scheme are read up to the limit of credentials; a single value may be longer."""
    parameter = "a=b,"
    short = f"{scheme} {parameter * (MAX_CREDENTIAL // len(parameter) - 10)}a=b"
    assert extract((AUTH, short)) is None
    with pytest.raises(InvalidRequestError):
        extract((AUTH, f"{scheme} {parameter * (MAX_CREDENTIAL // len(parameter))}a=b"))
    assert extract((AUTH, f"{scheme} {'a' * 65_536}")) is None


def test_a_token_in_a_cookie_may_not_be_too_long():
    """A token in a cookie has the same limit as a token in a field."""
    cookie = "__Host-access_token=" + "a" * MAX_CREDENTIAL
    assert extract((COOKIE, cookie)).method == "cookie"
    with pytest.raises(MalformedTokenError):
        extract((COOKIE, cookie + "a"))


field = st.sampled_from([b"authorization", b"x-api-key", b"x-other", b"cookie"])
value = st.binary(max_size=40) | st.builds(
    lambda scheme, rest: scheme + rest,
    st.sampled_from(
        [
            b"Bearer ",
            b"bearer",
            b"Basic ",
            b"Bearer  ",
            b"__Host-access_token=",
            b"Bearer sk_live_",
            b",",
            b"a b=",
        ]
    ),
    st.binary(max_size=20) | st.sampled_from([b"a.b.c", b", Bearer x", b"a; __Host-access_token=b"]),
)


@given(st.lists(st.tuples(field, value), max_size=4))
def test_no_bytes_raise_anything_but_a_refusal(headers):
    """Any bytes in the fields give a credential, None or a refusal, and no other exception."""
    try:
        credential = extract(*headers)
    except RefusedError:
        return
    assert credential is None or credential.value

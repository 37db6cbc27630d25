"""The verifiers of a guard, and the adaptation of an application's own verifier."""

import pytest

from authguard import (
    APIKey,
    APIKeyVerifier,
    ConfigurationError,
    Credential,
    Guard,
    InvalidTokenError,
    JWTVerifier,
    Principal,
    TokenIssuer,
)
from authguard._core.deciding.pacing import work_of
from authguard._core.verifier import Verified, as_verifier
from authguard.errors import Cause
from support import NOW, SECRET, judge, pem, rsa_key

BEARER = Credential("a.b.c", "bearer")
KEY = Credential("sk_live_abc", "api_key")


class Own:
    def verify(self, credential):
        return Principal(credential.value)


class OwnForKeys(Own):
    header = "X-Own"
    prefixes = ["own_"]


class OwnWithAccepts(Own):
    def accepts(self, credential):
        return credential.value.startswith("a")


def test_a_built_in_verifier_stays_as_it_is():
    """A Verifier is used as it is."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    assert as_verifier(verifier) is verifier


def test_a_signature_by_a_public_key_counts_four_times():
    """A verifier with a public key counts as four units of work, because its check takes longest."""
    options = {"issuer": None, "audience": None}
    verifiers = [
        JWTVerifier(SECRET, algorithms=["HS256"], **options),
        JWTVerifier(pem(rsa_key()), algorithms=["RS256"], **options),
        APIKeyVerifier({"sk_live_0123456789abcdef": APIKey("ann")}),
        Own(),
    ]
    assert [work_of(as_verifier(verifier)) for verifier in verifiers] == [1, 4, 1, 1]


def test_an_own_verifier_is_asked_for_the_principal():
    """The return value of `verify` is the principal."""
    assert judge(as_verifier(Own()), BEARER, NOW) == Verified(Principal("a.b.c"), NOW)


def test_an_async_verifier_is_awaited():
    """A coroutine function `verify` is awaited."""

    class Async:
        async def verify(self, credential):
            return Principal("async")

    assert judge(as_verifier(Async()), BEARER, NOW).principal.subject == "async"


def test_an_answer_of_an_own_verifier_is_not_remembered():
    """An answer of an application's verifier is not remembered."""
    assert judge(as_verifier(Own()), BEARER, NOW).until == NOW


@pytest.mark.parametrize("answer", [None, "ann", True, {"sub": "ann"}], ids=repr)
def test_what_is_no_principal_is_an_error(answer):
    """An answer that is no Principal is a TypeError."""

    class Wrong:
        def verify(self, credential):
            return answer

    with pytest.raises(TypeError, match="Principal"):
        judge(as_verifier(Wrong()), BEARER, NOW)


@pytest.mark.parametrize(
    ("verifier", "credential", "taken"),
    [
        (Own(), BEARER, True),
        (Own(), KEY, False),
        (Own(), Credential("a", "cookie"), True),
        (OwnForKeys(), BEARER, False),
        (OwnForKeys(), KEY, True),
        (OwnWithAccepts(), BEARER, True),
        (OwnWithAccepts(), KEY, False),
    ],
    ids=["bearer", "key", "cookie", "keys-bearer", "keys-key", "accepts", "accepts-not"],
)
def test_which_credentials_are_accepted(verifier, credential, taken):
    """`accepts` of a verifier decides; without it a verifier with a header accepts keys, else tokens."""
    assert as_verifier(verifier).accepts(credential) is taken


def test_header_and_prefixes_are_taken_over():
    """The header and the prefixes of an application's verifier are used."""
    adapted = as_verifier(OwnForKeys())
    assert (adapted.header, adapted.prefixes) == ("X-Own", ("own_",))


@pytest.mark.parametrize(
    "thing", [None, "secret", object(), Own, print], ids=["none", "secret", "object", "class", "function"]
)
def test_what_is_no_verifier_is_refused(thing):
    """A class, a function, a text or None is refused as a verifier."""
    with pytest.raises(ConfigurationError, match="a verifier must be"):
        as_verifier(thing)


@pytest.mark.parametrize("method", ["verify", "accepts"])
def test_a_method_with_other_arguments_is_refused_when_the_guard_is_built(method):
    """A method with the wrong number of arguments is refused when the guard is built."""

    class Own:
        def verify(self, credential):
            return Principal("ann")

    def needs_more(self, credential, now):
        return None

    setattr(Own, method, needs_more)
    with pytest.raises(ConfigurationError, match=f"{method} of a verifier must be a function of one"):
        Guard(Own())


@pytest.mark.parametrize("several", [[Own(), Own()], (Own(),)])
def test_a_list_of_verifiers_is_an_error_with_the_call(several: object) -> None:
    """A list of verifiers is refused with the call to write."""
    with pytest.raises(ConfigurationError, match=r"got (list|tuple): write Guard\(first, second\)$"):
        as_verifier(several)


TOKENS = TokenIssuer(SECRET, issuer="demo", audience="demo")


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (TOKENS, "got TokenIssuer: write tokens.verifier()"),
        (TOKENS.verifier, "got method: write verifier(), with parentheses"),
        (APIKeyVerifier, "got the class APIKeyVerifier: write APIKeyVerifier(…)"),
        ([TOKENS.verifier()], "got list: write Guard(first, second)"),
        (None, "got NoneType"),
    ],
    ids=["issuer", "method", "class", "list", "none"],
)
def test_an_object_that_is_no_verifier_is_refused_with_the_spelling_that_works(wrong, advice):
    """The error about an object that is no verifier names the spelling that works, if it is known."""
    with pytest.raises(ConfigurationError) as refused:
        Guard(wrong)
    assert str(refused.value).endswith(advice)


@pytest.mark.parametrize("credential", [BEARER, KEY], ids=["token", "key"])
@pytest.mark.parametrize(
    ("expires_at", "is_valid"), [(None, True), (NOW + 1, True), (NOW, False), (5, False)]
)
def test_an_expired_principal_of_an_own_verifier_is_refused(credential, expires_at, is_valid):
    """A principal of an application's verifier is refused from its `expires_at` on."""

    class Expiring:
        def verify(self, credential):
            return Principal("ann", expires_at=expires_at)

    verifier = as_verifier(Expiring())
    if is_valid:
        assert judge(verifier, credential, NOW).principal.subject == "ann"
        return
    with pytest.raises(InvalidTokenError, match="expires_at") as refused:
        judge(verifier, credential, NOW)
    assert refused.value.cause is Cause.EXPIRED


@pytest.mark.parametrize("verifier", [Own(), APIKeyVerifier({"sk_live_0123456789abcdef": APIKey("ann")})])
def test_a_verifier_without_a_remote_has_no_health(verifier):
    """A verifier that asks no server and reads no file has nothing in the health of its guard."""
    assert Guard(verifier).health(NOW) == []

"""What a verifier is, and how a user's own becomes one."""

import pytest

from authguard import ConfigurationError, Credential, JWTVerifier, Principal
from authguard._core.verifier import Verified, as_verifier
from support import NOW, SECRET, judge

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
    """Nothing is wrapped around a Verifier."""
    verifier = JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None)
    assert as_verifier(verifier) is verifier


def test_an_own_verifier_is_asked_for_the_principal():
    """What verify() returns is the principal."""
    assert judge(as_verifier(Own()), BEARER, NOW) == Verified(Principal("a.b.c"), NOW)


def test_an_async_verifier_is_awaited():
    """verify() may be a coroutine function."""

    class Async:
        async def verify(self, credential):
            return Principal("async")

    assert judge(as_verifier(Async()), BEARER, NOW).principal.subject == "async"


def test_an_answer_of_an_own_verifier_is_not_remembered():
    """It holds until now, and no longer."""
    assert judge(as_verifier(Own()), BEARER, NOW).until == NOW


@pytest.mark.parametrize("answer", [None, "ann", True, {"sub": "ann"}], ids=repr)
def test_what_is_no_principal_is_an_error(answer):
    """Nothing but a Principal lets anybody pass."""

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
    """`accepts` decides where there is one, else whether there is a header for keys."""
    assert as_verifier(verifier).accepts(credential) is taken


def test_header_and_prefixes_are_taken_over():
    """An own verifier of keys says where keys are."""
    adapted = as_verifier(OwnForKeys())
    assert (adapted.header, adapted.prefixes) == ("X-Own", ("own_",))


@pytest.mark.parametrize(
    "thing", [None, "secret", object(), Own, print], ids=["none", "secret", "object", "class", "function"]
)
def test_what_is_no_verifier_is_refused(thing):
    """A class, a function and a secret are mistakes."""
    with pytest.raises(ConfigurationError, match="a verifier must be"):
        as_verifier(thing)

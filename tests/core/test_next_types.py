"""The arguments of `safe_next` that are of a wrong type."""

import pytest

from authguard import ConfigurationError, Guard, JWTVerifier, safe_next
from support import SECRET

GUARD = Guard(
    JWTVerifier(SECRET, algorithms=["HS256"], issuer=None, audience=None), public_paths=["/", "/in"]
)
NOT_TEXT = [5, 0, 1.5, True, ["/x"], [], ("/x",), b"/x", bytearray(b"/x"), {}, {"/x": 1}, None]


@pytest.mark.parametrize("target", NOT_TEXT, ids=repr)
@pytest.mark.parametrize("call", [safe_next, GUARD.safe_next], ids=["function", "method"])
def test_a_value_of_json_that_is_not_text_is_unsafe(call, target):
    """A client may send any value in JSON, such as `{"next": 5}`; the result is then the default page."""
    assert (call(target), call(target, "/home")) == ("/", "/home")


@pytest.mark.parametrize("default", [5, None, b"/", ["/"], {}], ids=repr)
@pytest.mark.parametrize("call", [safe_next, GUARD.safe_next], ids=["function", "method"])
@pytest.mark.parametrize("target", ["/a", None])
def test_a_default_that_is_not_text_is_refused(call, default, target):
    """The default comes from the program, so a wrong type is an error in it."""
    with pytest.raises(ConfigurationError, match=r"^default must be text, got "):
        call(target, default)


@pytest.mark.parametrize(
    "paths", [None, 5, "/login", b"/login", [5], {5}, [b"/login"], {"/login": 1}], ids=repr
)
def test_login_paths_that_are_not_a_list_of_texts_are_refused(paths):
    """A text alone would be compared as if each of its characters were a page."""
    with pytest.raises(ConfigurationError, match=r"login_paths must be .*, got "):
        safe_next("/a", login_paths=paths)


@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, iter])
def test_login_paths_may_be_any_list(kind):
    """Each kind of list of login pages is accepted."""
    assert safe_next("/enter", login_paths=kind(["/enter"])) == "/"
    assert safe_next("/a", login_paths=kind(["/enter"])) == "/a"

"""The table of `adapters/cases.py` over each framework, in this process."""

from collections.abc import Callable

import pytest

from frameworks.support import need

need("litestar", "quart", "falcon", "bottle")

pytestmark = pytest.mark.frameworks

from adapters import test_same_answers as table
from adapters.answering import NOW, guard
from adapters.faces import Answer
from frameworks.faces import FRAMEWORKS, IN_PROCESS


@pytest.fixture(name="face", params=IN_PROCESS, scope="module")
def _face(request: pytest.FixtureRequest) -> Callable[..., Answer]:
    framework = FRAMEWORKS[request.param]
    app = framework.make(guard(), lambda: NOW)
    return lambda *arguments: framework.ask(app, *arguments)


test_answer = table.test_answer
test_htmx = table.test_htmx_is_told_where_to_sign_in
test_htmx_anew = table.test_htmx_is_told_where_to_sign_in_anew
test_invalid_tokens = table.test_all_invalid_tokens_get_the_same_answer
test_caches = table.test_key_and_cookie_responses_are_kept_apart_by_caches
test_no_circle = table.test_a_login_page_that_sends_straight_back_makes_no_circle
test_document = table.test_the_document_of_a_sign_in_has_its_code

"""The pytest plugin, in the suites of applications as docs/testing.md shows them."""

import re
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
#: Strict options, as in users' configurations: warnings are errors, and no other plugin is required. The
#: plugin of Schemathesis is left out, because its import takes longer than the rest.
STRICT = ("-p", "no:cacheprovider", "-p", "no:schemathesis", "-W", "error")


def run(pytester: pytest.Pytester, *names: str, options: tuple[str, ...] = ()) -> pytest.RunResult:
    """Run the suite of some files of the page, in a process of its own."""
    for name in names:
        (pytester.path / name).write_text(FILES[name], encoding="utf-8")
    return pytester.runpytest_subprocess(
        *STRICT, *options, *(name for name in names if name.startswith("test_"))
    )


def test_the_plugin_is_registered() -> None:
    """The plugin is registered as an entry point of pytest."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"authguard": "pytest_authguard"}
    (plugin,) = entry_points(group="pytest11", name="authguard")
    assert plugin.value == "pytest_authguard"


def test_all_blocks_of_the_page_are_files() -> None:
    """Each block of the page is a file that is run below."""
    assert PAGE.count("```python") == len(FILES)
    assert set(FILES) == {"fastapi_app.py"} | {f"test_{name}.py" for name in TESTS}


#: The number of tests in each file.
TESTS = {"fastapi_app": 7, "flask_app": 2, "starlette_app": 3, "by_a_server": 1}


@pytest.mark.slow
def test_suites_of_the_page(pytester: pytest.Pytester) -> None:
    """The tests of the page pass with each framework, and with `unittest`."""
    run(pytester, *FILES).assert_outcomes(passed=sum(TESTS.values()))


@pytest.mark.slow
def test_suites_run_on_several_processes(pytester: pytest.Pytester) -> None:
    """The tests pass with pytest-xdist."""
    run(pytester, "test_flask_app.py", options=("-n", "2")).assert_outcomes(passed=TESTS["flask_app"])


@pytest.mark.slow
def test_who_asks_for_no_fixture_pays_nothing(pytester: pytest.Pytester) -> None:
    """A test without a fixture imports neither the package nor a framework or httpx."""
    pytester.makepyfile(
        """
        import sys

        def test_nothing(request):
            assert "pytest_authguard" in sys.modules
            heavy = {"authguard", "jwt", "cryptography", "httpx", "starlette", "fastapi", "flask"}
            assert heavy & sys.modules.keys() == set()
        """
    )
    pytester.runpytest_subprocess(*STRICT, "-p", "no:anyio", "-p", "no:hypothesispytest").assert_outcomes(
        passed=1
    )


@pytest.mark.slow
def test_disabled_it_is_not_there(pytester: pytest.Pytester) -> None:
    """`authguard.testing` works while the plugin is disabled."""
    pytester.makepyfile(
        """
        import sys
        from authguard.testing import FakeIssuer

        def test_classes():
            assert "pytest_authguard" not in sys.modules
            assert FakeIssuer().issue()

        def test_fixture(fake_issuer):
            pass
        """
    )
    done = pytester.runpytest_subprocess(*STRICT, "-p", "no:authguard")
    done.assert_outcomes(passed=1, errors=1)


@pytest.mark.slow
def test_without_pytest_the_classes_are_there(pytester: pytest.Pytester) -> None:
    """`authguard.testing` does not import pytest."""
    code = (
        "import sys; sys.modules['pytest'] = None; from authguard import testing; print(testing.FakeIssuer())"
    )
    assert pytester.run(sys.executable, "-c", code).outlines == ["FakeIssuer('https://issuer.test')"]


def test_an_override_ends_with_its_test(pytester: pytest.Pytester) -> None:
    """An override ends with its test; of two in one test, the last one applies."""
    pytester.makepyfile(
        """
        import pytest
        from authguard import Guard, Principal
        from authguard.errors import InvalidTokenError
        from authguard.testing import FakeIssuer

        guard = Guard(FakeIssuer().verifier())

        def caller():
            return guard.verify("nothing").subject

        def test_first(authguard_override):
            authguard_override(guard, Principal("ada"))
            assert caller() == "ada"
            authguard_override(guard, Principal("bob"))
            assert caller() == "bob"

        def test_second():
            with pytest.raises(InvalidTokenError):
                caller()
        """
    )
    pytester.runpytest_inprocess(*STRICT).assert_outcomes(passed=2)

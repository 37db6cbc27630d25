"""The checks of a program read each of its files, functions and paths once, in any number."""

import inspect
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.security import SecurityScopes
from starlette.requests import Request

from adapters.callers import open_guard
from authguard import ConfigurationError, Rule
from authguard._endpoint import order_error
from authguard._routes import paths, unmatched
from authguard._signatures import unused_results
from authguard._signatures.registered import registered_routes
from authguard.fastapi import requires

USED = {
    "decorator": "@requires('a{0}')\nasync def f{0}(request: int = 0) -> None: pass\n",
    "variable": "check{0} = requires(\n    'a{0}',\n)\n",
    "argument": "listed{0} = dict(a=[Depends(requires('a{0}'))])\n",
    "alternative": "check{0} = None or requires('a{0}')\n",
    "two names": "check{0} = other{0} = requires('a{0}')\n",
    "call": "f{0} = requires('a{0}')(Depends)\n",
    "list": "checks{0} = [requires(name) for name in ('a{0}', 'b')]\n",
    "returned": "def f{0}(): return requires('a{0}')\nf{0}()\n",
}
UNUSED = {
    "statement": "requires('a')",
    "several lines": "requires(\n    'a',\n)",
    "after another": "pass; requires('a')",
    "condition": "if requires('a'): pass",
    "negation": "x = not requires('a')",
    "assertion": "assert requires('a'), 'text'",
    "conjunction": "x = requires('a') and 1",
    "branch": "requires('a') if len('a') else None",
}


def executed(source: str, folder: Path) -> None:
    """Run a source from a file."""
    file = folder / "program.py"
    file.write_text(source)
    exec(compile(source, file, "exec"), {"requires": requires, "Depends": Depends, "__name__": "program"})  # noqa: S102


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the sources that calls of `requires` parse."""
    sources: list[str] = []
    parse = unused_results.parse_source

    def noted(source: str) -> Any:
        sources.append(source)
        return parse(source)

    monkeypatch.setattr(unused_results, "parse_source", noted)
    return sources


@pytest.mark.parametrize("form", USED)
def test_no_file_is_parsed_for_results_that_are_used(form: str, parsed: list[str], tmp_path: Path) -> None:
    """A file with any number of such calls and names is not parsed at all."""
    executed("".join(USED[form].format(number) for number in range(300)), tmp_path)
    assert parsed == []


@pytest.mark.parametrize("form", UNUSED)
@pytest.mark.parametrize("before", [0, 300], ids=["short", "long"])
def test_results_that_are_thrown_away_are_found(
    form: str, before: int, parsed: list[str], tmp_path: Path
) -> None:
    """A result that is thrown away, or only tested, is an error, also in a file with many names."""
    names = "".join(f"name{number} = {number}\n" for number in range(before))
    with pytest.raises(ConfigurationError, match=r"^requires\('a'\) must decorate .* thrown away"):
        executed(names + UNUSED[form] + "\n", tmp_path)
    assert len(parsed) == 1


def first(request: Request) -> str:
    return ""


def second(value: Annotated[str, Depends(first)], scopes: SecurityScopes) -> str:
    return value


def third(value: Annotated[str, Security(second, scopes=["read"])]) -> str:
    return value


def routed(count: int) -> FastAPI:
    """Return an application with routes that have the same dependencies."""
    app = FastAPI()
    router = APIRouter(prefix="/v1", dependencies=[Depends(third)])
    for number in range(count):

        async def view(value: Annotated[str, Security(second, scopes=["a"])]) -> str:
            return value

        router.get(f"/items{number}/{{key}}")(view)
    app.include_router(router)
    return app


def test_each_signature_is_read_once_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dependencies of many routes are read once."""
    app = routed(20)
    read: Counter[str] = Counter()
    signature = inspect.signature

    def noted(call: Any, **options: Any) -> inspect.Signature:
        read[call.__name__] += 1
        return signature(call, **options)

    monkeypatch.setattr(inspect, "signature", noted)
    assert order_error(app) is None
    assert read == {"view": 20, "first": 1, "second": 1, "third": 1}


def wrong() -> Any:
    return requires("admin")


def test_a_fault_of_several_routes_is_named_for_each() -> None:
    """A dependency with a fault is named for each of its routes, and one without a fault hides none."""
    app = FastAPI()
    for number in range(3):
        app.get(f"/good{number}", dependencies=[Depends(third)])(lambda: "")
        app.get(f"/bad{number}", dependencies=[Depends(third), Depends(wrong)])(lambda: "")
    error = str(order_error(app))
    assert all(f"the route /bad{number} " in error for number in range(3))
    assert "/good" not in error


def test_a_function_is_examined_again_in_another_place() -> None:
    """A function that is a faultless endpoint is still examined as dependency."""
    app = FastAPI()
    app.get("/first", response_model=None)(wrong)
    app.get("/second", dependencies=[Depends(wrong)])(lambda: "")
    assert "Depends(requires('admin'))" in str(order_error(app))


@pytest.mark.parametrize("pattern", ["/none{0}/word", "/{0}th/page", "/shelves{0}x"])
def test_each_word_of_a_route_is_folded_once(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of routes are folded once, for any number of rules that match them or not."""
    folded: list[str] = []
    fold = paths.fold

    def noted(path: str) -> tuple[str, ...]:
        folded.append(path)
        return fold(path)

    app = FastAPI()
    words = {f"shelves{number}{pattern.count('/')}x" for number in range(20)}
    for word in words:
        app.get(f"/v1/{word}/{{key}}")(lambda: "")
    guard = open_guard(protected_paths=[Rule(pattern.format(number)) for number in range(10)])
    for module in (paths, unmatched):
        monkeypatch.setattr(module, "fold", noted)
    unmatched.unmatched_patterns(registered_routes(app), guard)
    of_routes = Counter(each for each in folded if any(word in each for word in words))
    assert set(of_routes.values()) <= {1}
    assert of_routes.keys() <= words

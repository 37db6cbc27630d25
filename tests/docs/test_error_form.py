"""Check that the errors of configuration have the form `X must …, got …`, with advice."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from authguard.errors import ConfigurationError

SOURCE = Path(__file__).parents[2] / "src"
FORM = re.compile(r"(?s).+ must .+, got .+")
KINDS = {"ConfigurationError", "MissingExtraError", "UnusableKeyError", "_NoDependsError"}
# Errors whose text is written in another place.
ELSEWHERE = {
    ("setting_faults.py", "'; '.join(texts)"): "the texts of errors of this form",
    (
        "_endpoint.py",
        "'; '.join(misplaced)",
    ): "sentences of `misplaced_in`; see tests/adapters/test_decorator_order.py",
    ("unreached.py", "'; '.join(sentences)"): "sentences; see tests/adapters/test_unreached_routes.py",
    ("checks.py", "'; '.join([str(error), *later])"): "the texts of errors of this form",
    ("app.py", "'; '.join(filter(None, [str(error), tables]))"): "the same",
    (
        "service.py",
        "missing_mailer(has_sender=bool(settings.mail_from))",
    ): "a text of this form; see tests/cli/test_serve_faults.py",
    ("_extras.py", "self._extra"): "the arguments of MissingExtraError, which writes the text",
    ("database.py", "'postgres'"): "the same",
    ("postgres.py", "'postgres'"): "the same",
}


def template(node: ast.expr) -> str | None:
    """Return the text of an error, with a hole for each value; None if it is written in another place."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in node.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
    return None


def is_repeated(text: str, handler: ast.ExceptHandler | None) -> bool:
    """Return whether the text is that of a caught error of the same form, with the place before it."""
    if handler is None or handler.type is None or ast.unparse(handler.type) not in KINDS:
        return False
    return text.endswith(f": {{{handler.name}}}")


def errors_of(
    node: ast.AST, handler: ast.ExceptHandler | None = None
) -> Iterator[tuple[ast.Call, bool, str | None]]:
    """Yield each error that is made, whether it repeats another, and its text."""
    if isinstance(node, ast.ExceptHandler):
        handler = node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
        text = template(node.args[0])
        yield node, text is not None and is_repeated(text, handler), text
    for child in ast.iter_child_nodes(node):
        yield from errors_of(child, handler)


def misformed(source: str, name: str) -> list[str]:
    """Return the errors of a source file that are not in the form."""
    return [
        f"{name}:{call.lineno}: {text or ast.unparse(call.args[0])}"
        for call, repeated, text in errors_of(ast.parse(source))
        if not repeated
        and not (text is not None and FORM.fullmatch(text))
        and (name, ast.unparse(call.args[0])) not in ELSEWHERE
    ]


def test_each_error_says_what_an_option_must_be_and_what_it_is() -> None:
    """Each error of configuration in the source has the form."""
    files = sorted(SOURCE.rglob("*.py"))
    assert sum(len(list(errors_of(ast.parse(file.read_text())))) for file in files) > 150
    assert [line for file in files for line in misformed(file.read_text(), file.name)] == []


def test_each_kind_of_error_is_looked_for() -> None:
    """Each subclass of `ConfigurationError` is checked."""
    import authguard._core.jose.jwk
    import authguard._extras
    import authguard._signatures.misused  # noqa: F401

    kinds = {ConfigurationError, *ConfigurationError.__subclasses__()}
    assert {kind.__name__ for kind in kinds} == KINDS


@pytest.mark.parametrize(
    "source",
    [
        "raise ConfigurationError('ttl is 1 to 86400 seconds')",
        "raise ConfigurationError(f'ttl must be at least {least}')",
        "raise UnusableKeyError(text)",
        "try: parse()\nexcept ValueError as error: raise ConfigurationError(f'{path}: {error}')",
    ],
)
def test_an_error_of_another_form_is_seen(source: str) -> None:
    """An error without a demand, without the given value, or with a text from elsewhere is reported."""
    assert misformed(source, "some.py")


@pytest.mark.parametrize(
    "source",
    [
        "raise ConfigurationError(f'ttl must be at least {least} seconds, got {got(ttl)}')",
        "try: parse()\nexcept ConfigurationError as error: raise ConfigurationError(f'{path}: {error}')",
    ],
)
def test_an_error_of_the_form_is_taken(source: str) -> None:
    """An error of the form, also with its place before it, is accepted."""
    assert misformed(source, "some.py") == []

"""The spellings that errors of configuration recommend are valid Python, and their names exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
# Arguments of checks that are no Python, and units of numbers.
OTHER = {"https://auth.example.com", "https://example.com/…", "quotas.db", "lanes", "passes", "KiB", "hashes"}
LIBRARIES = {"asyncio", "httpx", "ssl", "cafile", "sys"}  # names of these, and of their functions
OPTION = re.compile(r"[a-z_]+=[A-Z\[(\"'{]")  # an option with a value, such as `keys=["…"]`
SENTENCES = re.compile(r" or (\.|the )|, \.| of [A-Z]")  # several spellings, with words between them


def texts_of(node: ast.AST) -> Iterator[str]:
    """Yield the texts that name an option or a spelling: arguments of checks, and options with values."""
    within = {id(part) for text in ast.walk(node) if isinstance(text, ast.JoinedStr) for part in text.values}
    for part in ast.walk(node):
        if isinstance(part, ast.Call) and re.fullmatch(r"_?check_\w+", getattr(part.func, "id", "")):
            given = [*part.args, *(keyword.value for keyword in part.keywords)]
            yield from (
                each.value
                for each in given
                if isinstance(each, ast.Constant) and isinstance(each.value, str) and " " not in each.value
            )
        elif isinstance(part, ast.Constant) and id(part) not in within and OPTION.match(str(part.value)):
            yield str(part.value)


def names_of(node: ast.AST) -> Iterator[str]:
    """Yield the names that a file defines: of parameters, fields, functions and classes."""
    for part in ast.walk(node):
        match part:
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Attribute(attr=name):
                yield name
            case _:
                pass


def words_of(spelling: str) -> set[str]:
    """Return the names in a spelling, as it would be written between the brackets of a call.

    Raises:
        SyntaxError: if it cannot be written there.
    """
    call = ast.parse(f"f({spelling.replace('…', '...')})").body[0]
    words = {part.id for part in ast.walk(call) if isinstance(part, ast.Name)} - {"f"}
    return words | {part.arg for part in ast.walk(call) if isinstance(part, ast.keyword) and part.arg}


def unusable(texts: set[str], names: set[str]) -> list[str]:
    """Return the spellings that are no Python, and those with a name that is not among the known ones."""
    wrong: list[str] = []
    for text in sorted(texts - OTHER):
        if SENTENCES.search(text):
            continue
        try:
            missing = words_of(text) - names - LIBRARIES
        except SyntaxError:
            missing = {text}
        if missing:
            wrong.append(text)
    return wrong


def test_each_spelling_can_be_written() -> None:
    """Each spelling of the source is valid Python with names that exist."""
    trees = [ast.parse(path.read_text()) for path in sorted(SOURCE.rglob("*.py"))]
    texts = {text for tree in trees for text in texts_of(tree)}
    assert len(texts) > 100
    assert unusable(texts, {name for tree in trees for name in names_of(tree)}) == []


def test_a_wrong_spelling_is_reported() -> None:
    """An unknown name, or text after the last bracket, is reported."""
    source = 'check_list(names, "names", "namesn")\ncheck_object(key, "key", Key, write="key=Key(…)k")'
    texts = set(texts_of(ast.parse(source)))
    assert unusable(texts, {"names", "key", "Key"}) == ["key=Key(…)k", "namesn"]

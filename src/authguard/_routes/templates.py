"""Read the paths of routes of any framework, and write them as patterns."""

import re
from collections.abc import Sequence
from functools import lru_cache

from authguard._routes.paths import Parameter, Template, template

# Parameters of Starlette, such as {id:int}, and of Werkzeug and Django, such as <int:id> and <any(a,b):id>.
_PARAMETER = re.compile(r"\{\w+(?::(\w+))?\}|<(?:(\w+)(?:\((.*?)\))?:)?\w+>")
_IN_ONE_SEGMENT = frozenset((None, "str", "string", "default", "int", "float", "uuid", "slug"))


def spelled_path(path: Template) -> Sequence[str]:
    """Return the segments of a path as a pattern has them: `*` for each with a parameter."""
    return [segment.word or "*" for segment in path]


@lru_cache(maxsize=1_024)  # several guards of an application see the same paths
def template_of(path: str) -> Template:
    """Return the template of a path of any framework; unknown converters may match anything."""
    pieces: list[str | Parameter] = []
    end = 0
    for match in _PARAMETER.finditer(path):
        kind = match[1] or match[2]
        parameter = Parameter("[^/]+" if kind in _IN_ONE_SEGMENT else ".*")
        if kind == "any" and match[3]:
            choices = tuple(choice.strip(" '\"") for choice in match[3].split(","))
            parameter = Parameter("|".join(map(re.escape, choices)), choices)
        pieces += [path[end : match.start()], parameter]
        end = match.end()
    return template([*pieces, path[end:]])

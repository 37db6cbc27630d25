"""Write the page of answers on the wire, from the table of cases that the tests run with every adapter."""

import inspect
import json
import re
import sys
from http import HTTPStatus
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from adapters import answering, cases  # noqa: E402 (below tests/)
from adapters.faces import WSGI, Answer, ask_wsgi  # noqa: E402

#: The names of the credentials on the page, because they are new for each run; a text comes before its parts.
_NAMES = {
    answering.GOOD: "GOOD",
    answering.ADMIN: "ADMIN",
    answering.EXPIRED: "EXPIRED",
    answering.FORGED: "FORGED",
    answering.FRESH: "FRESH",
    answering.STALE: "STALE",
    answering.OLD_KEY: "OLD_KEY",
    answering.OFF_KEY: "OFF_KEY",
    answering.KEY: "KEY",
    answering.KEY.swapcase(): "KEY in the other case",
    answering.KEY[:-1]: "KEY without its last character",
}
_OTHER_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
#: One case of each refusal is shown in full.
_SHOWN = (
    "no credential on a protected page",
    "an expired token",
    "two Authorization fields",
    "a scope that is missing",
    "a sign-in too long ago",
    "a cookie, posted by another site",
    "a browser",
    "a preflight",
)
_PARAMETER = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_HEAD = """\
# Answers on the wire

Look up how the guard answers a request. Each row is a case of `tests/adapters/cases.py`: the tests send it to
every adapter, and `make frameworks` to every framework and server of
[Frameworks and servers](../frameworks.md). All of them give the same answer. `make reference` writes
this page.

[Errors and causes](errors.md) has the condition and the remedy of each code.

## The guard of the table

```python
{guard}
```

| name | credential |
|---|---|
| `GOOD` | a valid token with the scope `read` and the role `clerk` |
| `ADMIN` | a valid token with the scopes `read` and `admin` and the role `boss` |
| `EXPIRED` | a token past its `exp` and the leeway |
| `FORGED` | a token that another secret has signed |
| `FRESH` | a valid token of a sign-in 300 seconds ago with the `acr` `phr` |
| `STALE` | a valid token of a sign-in 301 seconds ago with the `acr` `pwd` |
| `TOKEN` | another token, which the name of the case describes |
| `KEY`, `OLD_KEY`, `OFF_KEY` | API keys: a valid key, an expired key, a disabled key |

The application answers with the subject of the caller, and with an empty body to anonymous callers.

## Whole answers

"""


def page() -> str:
    """Return the page."""
    app = WSGI["wsgi"](answering.guard(), lambda: answering.NOW)
    source = dedent(inspect.getsource(answering.guard)).replace(
        '    """Return a guard with a rule of every kind."""\n', ""
    )
    parts = [_HEAD.format(guard=source.rstrip())]
    parts += [_whole(name, cases.CASES[name], _answer(app, cases.CASES[name])) for name in _SHOWN]
    for title, section in zip(_titles(), cases.SECTIONS, strict=True):
        rows = [
            f"| {name} | {_request(case)} | {_told(_answer(app, case))} |\n" for name, case in section.items()
        ]
        parts.append(f"## {title}\n\n| case | request | answer |\n|---|---|---|\n" + "".join(rows) + "\n")
    return "".join(parts).rstrip() + "\n"


def _titles() -> list[str]:
    """Return the comment above each section of the table."""
    source = inspect.getsource(cases)
    return [title.rstrip(".") for title in re.findall(r"^#: (.+)\n[A-Z_]+: dict", source, re.MULTILINE)]


def _answer(app: Any, case: answering.Case) -> Answer:
    return ask_wsgi(app, case.method, case.path, case.fields)


def _shown(text: str) -> str:
    """Return a text of a request with the names of credentials, and with shortened repetitions."""
    for credential, name in _NAMES.items():
        text = text.replace(credential, name)
    text = _OTHER_TOKEN.sub("TOKEN", text)
    return text if len(text) < 120 else f"{text[:40]}… ({len(text):,} characters)"


def _fields(case: answering.Case) -> list[str]:
    return [f"{name}: {_shown(value.decode('latin-1'))}" for name, value in case.fields]


def _request(case: answering.Case) -> str:
    lines = [f"{case.method} {_shown(case.path)}", *_fields(case)]
    return "<br>".join(f"`` {line.replace('|', '&#124;')} ``" for line in lines)


def _told(answer: Answer) -> str:
    """Return status, code and other parts of the challenge; for an answer of the application, the subject."""
    if answer.status in {200, 204}:
        subject = answer.body.decode()
        return (
            "204, by the guard"
            if answer.status == 204
            else f"200, {f'`{subject}`' if subject else 'anonymous'}"
        )
    if answer.status == 303:
        return f"303 to `{answer.headers['location']}`"
    challenge = answer.headers.get("www-authenticate", "")
    parameters = [
        f'`{name}="{value}"`' for name, value in _PARAMETER.findall(challenge) if name not in _EVERYWHERE
    ]
    is_page = answer.headers["content-type"].startswith("text/html")
    parts = [str(answer.status), _code(answer, challenge), *parameters, *(["as a page"] if is_page else [])]
    return ", ".join(part for part in parts if part)


_EVERYWHERE = {"realm", "error", "error_description"}


def _code(answer: Answer, challenge: str) -> str:
    """Return the code of the problem document; for a page, the error of the challenge."""
    if answer.body.startswith(b"{"):
        return f"`{json.loads(answer.body)['code']}`"
    return "".join(f"`{value}`" for name, value in _PARAMETER.findall(challenge) if name == "error")


def _whole(name: str, case: answering.Case, answer: Answer) -> str:
    request = "\n".join([f"{case.method} {_shown(case.path)} HTTP/1.1", "Host: site.example", *_fields(case)])
    fields = [f"{key.title().replace('Www-', 'WWW-')}: {value}" for key, value in answer.headers.items()]
    body = json.dumps(json.loads(answer.body), indent=2) if answer.body.startswith(b"{") else ""
    reply = "\n".join([f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *sorted(fields)])
    return (
        f"### {name[0].upper()}{name[1:]}\n\n```http\n{request}\n```\n\n```http\n{reply}\n"
        + (f"\n{body}\n" if body else "")
        + "```\n\n"
    )

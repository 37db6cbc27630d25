"""Write the page of errors: each code with its status, its condition and its remedy."""

import inspect
import re
from types import ModuleType

from authguard import Rule, errors
from authguard._causes import Cause
from authguard.identity import errors as identity_errors
from tools.reference.cures import CAUSES, GUARD, IDENTITY, OAUTH
from tools.reference.docstrings import first_paragraph

_HEAD = """\
# Errors and causes

Look up the condition and the remedy of each error code. The body of a refusal is a problem document (RFC
9457), and its `code` never changes; [the answers on the wire](answers.md) show whole answers. The log
`authguard` and `DecisionEvent.reason` also name the [cause](#causes-of-invalid_token) of an invalid
credential; answers never do. `make reference` writes this page.

"""
_CAUSES = """\
## Causes of `invalid_token`

The log line of a refusal has the cause in parentheses: `refused with 401: invalid_token (audience)`.
`error.cause` is the same for programs, and `authguard token inspect` shows the cause for a token.

| cause | description | remedy |
|---|---|---|
"""
_IDENTITY = """\
## Answers of the identity service

The service has the answers of the guard, and these.

"""
_OAUTH = """\
## Answers of the OAuth endpoints

The token, introspection and revocation endpoints answer with `error` and `error_description` (RFC 6749,
section 5.2): 401 for `invalid_client`, and 400 for all others.

| `error` | condition | remedy |
|---|---|---|
"""
_CONFIGURATION = """\
## Errors when an object is built

Each option is checked when the guard, a verifier, a rule or another object is built. An invalid option
raises `ConfigurationError`, which is a `ValueError`. Its text names the option, its range and the given
value, but never a secret. `Rule("/transfer", max_age=-1)` raises:

"""


def classes_by_code(*modules: ModuleType) -> dict[str, list[type[errors.RefusedError]]]:
    """Return the refusals that modules define, by their code."""
    results: dict[str, list[type[errors.RefusedError]]] = {}
    for module in modules:
        for thing in vars(module).values():
            if (
                inspect.isclass(thing)
                and issubclass(thing, errors.RefusedError)
                and thing.__module__ == module.__name__
            ):
                results.setdefault(thing.code, []).append(thing)
    return dict(sorted(results.items(), key=lambda entry: (entry[1][0].status_code, entry[0])))


def page() -> str:
    """Return the page."""
    guard = classes_by_code(errors)
    identity = {code: kinds for code, kinds in classes_by_code(identity_errors).items() if code not in guard}
    parts = [_HEAD, "## Answers of the guard\n\n", _table(guard)]
    parts += [_section(code, kinds, *GUARD[code]) for code, kinds in guard.items()]
    parts += [_CAUSES, *(f"| `{cause}` | {_meaning(cause)} | {CAUSES[cause]} |\n" for cause in Cause), "\n"]
    parts += [_IDENTITY, _table(identity)]
    parts += [_section(code, kinds, *IDENTITY[code]) for code, kinds in identity.items()]
    parts += [_OAUTH, *(f"| `{code}` | {when} | {cure} |\n" for code, (when, cure) in OAUTH.items()), "\n"]
    return "".join([*parts, _CONFIGURATION, f"    {_example()}\n"])


def _example() -> str:
    """Return the text of an error about an option."""
    try:
        Rule("/transfer", max_age=-1)
    except errors.ConfigurationError as error:
        return str(error)
    msg = "the option of the example must be refused"
    raise AssertionError(msg)


def _table(kinds: dict[str, list[type[errors.RefusedError]]]) -> str:
    rows = [
        f"| {each[0].status_code} | [`{code}`](#{code}) | {each[0].detail} |\n"
        for code, each in kinds.items()
    ]
    return "| status | code | detail |\n|---|---|---|\n" + "".join(rows) + "\n"


def _section(code: str, kinds: list[type[errors.RefusedError]], when: str, cure: str) -> str:
    first = kinds[0]
    challenge = f', `error="{first.challenge_error}"` in the challenge' if first.challenge_error else ""
    shown = "".join(f"* `{kind.__name__}`: {first_paragraph(kind.__doc__)}\n" for kind in kinds)
    head = f"### `{code}`\n\n{first.status_code} {first.title}{challenge}.\n\n"
    return f"{head}**Condition:** {when}\n\n**Remedy:** {cure}\n\n{shown}\n"


def _meaning(cause: Cause) -> str:
    """Return the comment above a cause."""
    match = re.search(rf"#: (.*)\n    {cause.name} = ", inspect.getsource(Cause))
    return match[1].rstrip(".") if match else ""

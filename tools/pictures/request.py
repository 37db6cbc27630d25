"""Draw the way of a request through the package."""

from itertools import pairwise

from tools.pictures.svg import Drawing

# Each step: its name, its effect, and the files.
_STEPS = (
    ("Adapter", "reads path and header fields", "`asgi.py` `wsgi.py`"),
    ("Credential", "token, API key or cookie", "`_core/credential`"),
    ("Verifier", "signature, claims, or the key", "`verifiers/` asks `drivers/`"),
    ("Principal", "subject, scopes, roles, issuer", "`_core/model.py`"),
    ("Policy", "rule of the path, scopes, quota", "`_core/policy`"),
    ("Decision", "allow or refuse", "`_core/answer`"),
)
_WIDTH, _HEIGHT, _GAP = 208, 84, 34
_LEFT, _TOP = 30, 92


def pictures() -> dict[str, bytes]:
    """Return `request.svg`."""
    drawing = Drawing(
        780,
        470,
        "The way of a request",
        "A request passes the adapter, the search for its credential, the verifier, which returns the "
        "principal, and the policy. The decision lets it reach the application, or refuses it with 400, "
        "401, 403, 429, 500 or 503. A credential that was verified before skips the verifier.",
    )
    drawing.box(_LEFT, 22, _WIDTH, 40, "Request", kind="accent")
    places = []
    for number, (name, does, files) in enumerate(_STEPS):
        row, column = divmod(number, 3)
        place = column if row == 0 else 2 - column  # the second row runs back, so that arrows stay short
        x, y = _LEFT + place * (_WIDTH + _GAP + 14), _TOP + row * (_HEIGHT + 66)
        places.append((x, y))
        drawing.box(x, y, _WIDTH, _HEIGHT, name, (does, files))
    drawing.arrow([(_LEFT + _WIDTH / 2, 62), (_LEFT + _WIDTH / 2, _TOP)])
    for (x, y), (next_x, next_y) in pairwise(places):
        middle = y + _HEIGHT / 2
        if next_y != y:
            drawing.arrow([(x + _WIDTH / 2, y + _HEIGHT), (x + _WIDTH / 2, next_y)])
        elif next_x > x:
            drawing.arrow([(x + _WIDTH, middle), (next_x, middle)])
        else:
            drawing.arrow([(x, middle), (next_x + _WIDTH, middle)])
    (x, y), (principal, below) = places[1], places[3]
    start, middle = x + _WIDTH / 2, y + _HEIGHT + 34
    drawing.arrow(
        [(start, y + _HEIGHT), (start, middle), (principal + 40, middle), (principal + 40, below)],
        ("verified before: from memory",),
        (start + 8, middle - 8),
        "start",
    )
    x, y = places[-1]
    bottom = y + _HEIGHT
    drawing.box(
        _LEFT,
        bottom + 46,
        _WIDTH + 60,
        84,
        "Your application",
        ("`CurrentUser`, `request.user`, `current_user`", "its own answer"),
        "good",
    )
    drawing.arrow([(x + 60, bottom), (x + 60, bottom + 46)], ("allow",), (x + 68, bottom + 28), "start")
    refused = _LEFT + _WIDTH + 110
    drawing.box(
        refused,
        bottom + 46,
        386,
        84,
        "Refusal",
        (
            "400 · 401 · 403 · 429: errors of the caller",
            "500 · 503: errors of the service, never shown as 401",
        ),
        "bad",
    )
    drawing.arrow(
        [
            (x + _WIDTH - 40, bottom),
            (x + _WIDTH - 40, bottom + 24),
            (refused + 193, bottom + 24),
            (refused + 193, bottom + 46),
        ],
        ("refuse",),
        (refused + 150, bottom + 18),
        "middle",
    )
    return {"request.svg": drawing.render()}

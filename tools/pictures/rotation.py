"""Draw the states of an API key, and of its secrets when it is rotated."""

from tools.pictures.svg import Drawing


def pictures() -> dict[str, bytes]:
    """Return `rotation.svg`."""
    drawing = Drawing(
        780,
        476,
        "Rotation of an API key",
        "A key with one good secret is rotated at once or with the first use of the new secret. Until "
        "then, and for the grace after it, both secrets are good; then the new one alone. A second "
        "rotation cancels one that waits. A key can be disabled and enabled; a revoked or expired key "
        "never comes back.",
    )
    drawing.text(390, 34, "Rotation of an API key: its id, usage and limits stay", size=16, weight="600")
    drawing.box(30, 150, 190, 76, "One secret", ("A is good",), "good")
    drawing.box(320, 70, 190, 76, "Waiting", ("A is good,", "B at its first use"), "accent")
    drawing.box(320, 230, 190, 76, "Grace", ("A and B are good,", "A for `grace_seconds`"), "accent")
    drawing.box(570, 230, 180, 76, "One secret", ("B is good,", "A is expired: 401"), "good")
    drawing.arrow([(180, 150), (180, 108), (320, 108)], ("rotate, `first_use`",), (250, 100))
    drawing.arrow([(180, 226), (180, 268), (320, 268)], ("rotate, `now`",), (250, 260))
    drawing.arrow([(415, 146), (415, 230)], ("B is used",), (424, 192), "start")
    drawing.arrow([(510, 268), (570, 268)], ("grace", "is over"), (540, 244))
    drawing.arrow(
        [(510, 90), (560, 90), (560, 126), (510, 126)],
        ("rotate again:", "the waiting secret", "is cancelled"),
        (570, 100),
        "start",
    )
    drawing.box(30, 380, 190, 72, "Disabled", ("by its owner or the operator",), "bad")
    drawing.box(
        320,
        380,
        430,
        72,
        "Revoked or expired",
        ("for good: by its owner, by age, or since it was found in public",),
        "bad",
    )
    drawing.arrow([(70, 226), (70, 380)], ("disable",), (62, 350), "end")
    drawing.arrow([(120, 380), (120, 226)], ("enable",), (128, 350), "start")
    drawing.arrow([(415, 306), (415, 380)], ("revoke, from each state",), (424, 348), "start")
    drawing.arrow([(220, 416), (320, 416)])
    return {"rotation.svg": drawing.render()}

"""Draw the states of a session whose refresh tokens replace each other."""

from tools.pictures.svg import Drawing


def pictures() -> dict[str, bytes]:
    """Return `refresh.svg`."""
    drawing = Drawing(
        760,
        400,
        "States of a session, by its refresh tokens",
        "A session begins at a sign-in. Its newest token makes the next generation. The token before the "
        "newest gets the newest again, a repeat, while that is unused, in time and from the same network "
        "or agent. Any older token ends the session. A logout, a new password, a disabled account and the "
        "end of its lifetime end it, too.",
    )
    drawing.text(380, 34, "A session, by its refresh tokens", size=16, weight="600")
    drawing.box(30, 150, 150, 64, "Sign-in", ("password or provider",), "accent")
    drawing.box(300, 142, 200, 80, "Generation n", ("token n is the newest", "and has not been used"), "good")
    drawing.box(300, 322, 200, 60, "Session ended", ("401 for each of its tokens",), "bad")
    drawing.arrow([(180, 182), (300, 182)], ("n = 1",), (240, 174))
    drawing.arrow(
        [(350, 142), (350, 84), (300, 84), (300, 112), (320, 112), (320, 142)],
        (
            "token n - 1: token n once more, a repeat.",
            "Its answer was lost, or two tabs",
            "refreshed at the same time",
        ),
        (290, 84),
        "end",
    )
    drawing.arrow(
        [(450, 142), (450, 84), (500, 84), (500, 112), (480, 112), (480, 142)],
        ("token n: new tokens,", "n becomes n + 1"),
        (512, 92),
        "start",
    )
    drawing.arrow(
        [(370, 222), (370, 322)],
        (
            "token n - 2 or older: a copy of it is in use.",
            "Token n - 1 later than `lost_answer_lifetime`,",
            "from another network and another agent,",
            "or after too many repeats in a row",
        ),
        (360, 252),
        "end",
    )
    drawing.arrow(
        [(440, 222), (440, 322)],
        (
            "logout, new password, disabled account,",
            "nobody has refreshed it for `refresh_lifetime`,",
            "or the end of `session_lifetime`",
        ),
        (450, 258),
        "start",
    )
    return {"refresh.svg": drawing.render()}

"""Build the pages as plain HTML. All texts of users and tokens are escaped."""

from collections.abc import Iterable
from html import escape

from .settings import IDENTITY_PATH


def home(name: str) -> str:
    """Return the public page; `name` is empty for an anonymous caller."""
    if name:
        body = f"""<p>You are signed in as <strong>{escape(name)}</strong>.</p>
<a class="button" href="/dashboard">Dashboard</a>"""
    else:
        body = f"""<p>This page is public. For the other pages,
<a href="{IDENTITY_PATH}/register?next=%2Fdashboard">create an account</a> or sign in.</p>
<a class="button" href="{IDENTITY_PATH}/login?next=%2Fdashboard">Sign in</a>"""
    return _page("Notes", f"<h1>Notes</h1>{body}")


def dashboard(name: str, roles: Iterable[str]) -> str:
    """Return the page that greets the caller."""
    listed = "".join(f"<li><code>{escape(role)}</code></li>" for role in sorted(roles))
    return _page(
        "Dashboard",
        f"""<h1>Hello, {escape(name)}</h1>
<p class="quiet">Your roles:</p>
<ul>{listed}</ul>
<p><a href="{IDENTITY_PATH}/account">Your account</a><br>
<a href="/api/me">What the API knows about you</a><br><a href="/admin">Administration</a></p>
<form method="post" action="{IDENTITY_PATH}/logout"><button type="submit">Sign out</button></form>""",
    )


def admin(name: str, notes: int) -> str:
    """Return the page for administrators."""
    return _page(
        "Administration",
        f"""<h1>Administration</h1>
<p>{escape(name)}, the number of notes is {notes}.</p>
<a href="/dashboard">Dashboard</a>""",
    )


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="stylesheet" href="/static/style.css">
</head>
<body><main>
{body}
</main></body>
</html>
"""

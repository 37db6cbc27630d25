"""The pages, as plain HTML. Whatever a person or a token may have written is escaped."""

from collections.abc import Iterable
from html import escape


def home(name: str) -> str:
    """The public page; `name` is empty for visitors who are not signed in."""
    if name:
        body = f"""<p>You are signed in as <strong>{escape(name)}</strong>.</p>
<a class="button" href="/dashboard">Dashboard</a>"""
    else:
        body = '<p>Everybody may read this page.</p><a class="button" href="/login">Sign in</a>'
    return _page("Notes", f"<h1>Notes</h1>{body}")


def login(target: str, *, email: str = "", error: str = "") -> str:
    """The sign-in form; `target` is where the visitor wanted to go."""
    problem = f'<p class="wrong" role="alert" id="error">{escape(error)}</p>' if error else ""
    described = ' aria-invalid="true" aria-describedby="error"' if error else ""
    return _page(
        "Sign in",
        f"""<h1>Sign in</h1>
<p class="quiet">to go on to Notes</p>
{problem}
<form method="post" action="/login">
  <input type="hidden" name="next" value="{escape(target)}">
  <label for="email">Email</label>
  <input id="email" name="email" type="email" autocomplete="username" required
         value="{escape(email)}"{described}>
  <label for="password">Password</label>
  <input id="password" name="password" type="password" autocomplete="current-password" required{described}>
  <button type="submit">Sign in</button>
</form>""",
    )


def dashboard(name: str, scopes: Iterable[str]) -> str:
    """The page that greets the caller."""
    granted = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in sorted(scopes))
    return _page(
        "Dashboard",
        f"""<h1>Hello, {escape(name)}</h1>
<p class="quiet">This is what you have been granted:</p>
<ul>{granted}</ul>
<p><a href="/api/me">What the API knows about you</a><br><a href="/admin">Administration</a></p>
<form method="post" action="/logout"><button type="submit">Sign out</button></form>""",
    )


def admin(name: str, notes: int) -> str:
    """The page for administrators."""
    return _page(
        "Administration",
        f"""<h1>Administration</h1>
<p>{escape(name)}, there are {notes} notes.</p>
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

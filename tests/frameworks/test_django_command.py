"""`authguard token inspect --app` asks the guard of a Django project, by the application of its server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from frameworks.support import need

need("django")

pytestmark = pytest.mark.frameworks

from adapters.answering import SECRET
from authguard.testing import issue_token

SETTINGS = """
SECRET_KEY = "a-key-of-the-project-that-is-long-enough-4Hq"
INSTALLED_APPS = ["authguard.django", "django.contrib.auth", "django.contrib.contenttypes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
MIDDLEWARE = MIDDLEWARE_OF_TEST
AUTHGUARD = "guards.guard"
"""
GUARDS = f"""
from authguard import Guard, JWTVerifier, Rule

def load(principal):
    from django.contrib.auth.models import User
    return User(username=principal.subject)

jwt = JWTVerifier("{SECRET}", algorithms=["HS256"], issuer=None, audience=None)
guard = Guard(jwt, protected_paths=["/", Rule("/reports", scopes=["reports"])], user_loader=load)
"""
APPLICATION = """
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "project_settings"
from django.core.KIND import get_KIND_application

application = get_KIND_application()
"""
OWN = "authguard.django.AuthGuardMiddleware"


def inspected(folder: Path, kind: str, middleware: list[str], path: str) -> subprocess.CompletedProcess[str]:
    settings = SETTINGS.replace("MIDDLEWARE_OF_TEST", repr(middleware))
    for name, text in {"project_settings": settings, "guards": GUARDS, "served": APPLICATION}.items():
        (folder / f"{name}.py").write_text(text.replace("KIND", kind))
    (folder / "token").write_text(issue_token(SECRET, subject="ann"))
    run = "from authguard.cli import main; main()"
    command = [sys.executable, "-c", run, "token", "inspect", "--app", "served:application"]
    return subprocess.run(
        [*command, "--file", "token", "--path", path],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_the_guard_of_the_settings_is_asked(tmp_path: Path, kind: str) -> None:
    """The guard of the settings is asked, with its `user_loader` and the rule of the path."""
    accepted = inspected(tmp_path, kind, [OWN], "/me")
    assert (accepted.returncode, accepted.stdout.partition(" by ")[0]) == (0, "accepted"), accepted.stderr
    refused = inspected(tmp_path, kind, [OWN], "/reports/1")
    assert (refused.returncode, refused.stdout.partition(" by ")[0]) == (1, "refused with 403")


def test_a_project_without_the_middleware_has_no_guard(tmp_path: Path) -> None:
    """A project without the middleware has no guard, even if its settings have one."""
    answer = inspected(tmp_path, "wsgi", [], "/me")
    assert answer.returncode == 2
    assert "no guard is around" in answer.stderr

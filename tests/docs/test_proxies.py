"""The configurations of docs/guides/proxies.md are those that nginx and Caddy take."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from docs.blocks import blocks

PAGE = "docs/guides/proxies.md"


def program(name: str) -> str:
    """Return the path of a program; without it the test is skipped, and in CI it fails."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        assert os.environ.get("CI") != "true", f"{name} is missing"
        pytest.skip(f"{name} is not installed")
    return found


def check(*command: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_nginx_takes_the_block(tmp_path: Path) -> None:
    """Within `http`, with a certificate at another place."""
    nginx = program("nginx")
    names = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=api.example.com"]
    files = ["-keyout", str(tmp_path / "api.example.com.key"), "-out", str(tmp_path / "api.example.com.pem")]
    check(program("openssl"), "req", *names, *files)
    (block,) = blocks(PAGE, "nginx")
    assert "/etc/ssl/private/" in block.text
    text = block.text.replace("/etc/ssl/private/", f"{tmp_path}/").replace("/etc/ssl/", f"{tmp_path}/")
    whole = f"pid {tmp_path}/pid; error_log stderr;\nevents {{}}\nhttp {{ access_log off;\n{text}\n}}"
    (tmp_path / "nginx.conf").write_text(whole)
    check(nginx, "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))


def test_caddy_takes_the_block(tmp_path: Path) -> None:
    """As it is written."""
    (block,) = blocks(PAGE, "caddyfile")
    (tmp_path / "Caddyfile").write_text(block.text)
    check(program("caddy"), "validate", "--config", str(tmp_path / "Caddyfile"), "--adapter", "caddyfile")

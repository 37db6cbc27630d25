"""The commands of docs/identity.md about keys that are found in public, run against a service."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from identity.key_servers import running
from ports import free_port

PAGE = (Path(__file__).parents[2] / "docs" / "identity.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n### Keys that are found in public\n")[2].partition("\n### ")[0]
SCANNER, REPORT = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
VARIABLES = dict(re.findall(r"(AUTHGUARD_\w+)=(\S+) (?=AUTHGUARD|authguard)", SECTION))
SAYS = "is `true_positive`, and the key gets 401. The console of the service shows the mail."


def run(script: str, folder: Path) -> str:
    """Return the output of a script."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=f"export NO_PROXY='*'\n{script}",
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_commands_show_what_the_page_says(tmp_path: Path) -> None:
    """The commands simulate the scanner and report a key, which is then refused."""
    for program in ("bash", "curl", "python3", "openssl"):
        if shutil.which(program) is None:
            assert os.environ.get("CI") != "true", f"{program} missing"
            pytest.skip(f"no {program}")
    port = str(free_port())
    *commands, serve = SCANNER.strip().splitlines()
    run("\n".join(commands), tmp_path)
    variables = {name: value.replace("8001", port) for name, value in VARIABLES.items()}
    assert variables["AUTHGUARD_SECRET_SCANNING_KEYS_URL"] == f"http://127.0.0.1:{port}/keys.json"
    with subprocess.Popen(
        serve.replace("8001", port).split(), cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as scanner:
        try:
            with running(tmp_path, **variables) as servers:
                script = REPORT.replace("http://127.0.0.1:8000", servers.service)
                label, status = run(script, tmp_path).strip().splitlines()
        finally:
            scanner.terminate()
    assert '"label":"true_positive"' in label and status == "401"
    assert "Your API key was found in public" in (tmp_path / "service.log").read_text()
    assert SAYS in " ".join(SECTION.split())

"""The commands of docs/identity.md about API keys, run against `authguard serve --dev`."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from identity.key_servers import running

ROOT = Path(__file__).parents[2]
SECTION = (
    (ROOT / "docs" / "identity.md")
    .read_text(encoding="utf-8")
    .partition("\n## API keys\n")[2]
    .partition("\n## ")[0]
)
(COMMANDS,) = re.findall(r"^```console\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
ANSWERS = [
    "The tier allows ten requests a minute, so the eleventh request gets 429, and the usage is 10 of 1,000.",
    "The answer to the old secret names the time of its end, an hour later, in the field `API-Key-Expires`.",
    "The last answer is 401, because the key was revoked.",
]


@pytest.mark.slow
def test_the_commands_answer_what_the_page_says(tmp_path: Path) -> None:
    """The commands register, create a key, use it until a 429, read the usage, rotate and revoke."""
    for program in ("bash", "curl", "python3"):
        if shutil.which(program) is None:
            assert os.environ.get("CI") != "true", f"{program} missing"
            pytest.skip(f"no {program}")
    with running(tmp_path) as servers:
        script = COMMANDS.replace("http://127.0.0.1:8000", servers.service)
        assert script.count(servers.service) == 1
        done = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=f"export NO_PROXY='*'\n{script}",
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    statuses_and_usage, expires, message, refusal = done.stdout.splitlines()
    *statuses, usage = statuses_and_usage.split(" ", 11)
    assert statuses == ["200"] * 10 + ["429"]
    assert json.loads(usage) == {
        "tier": "free",
        "usage": {"today": 10, "month": 10},
        "limits": {"perDay": 1000, "perMinute": 10},
    }
    assert re.fullmatch(r"(?i)api-key-expires: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", expires)
    assert json.loads(message) == {"message": "API key revoked successfully"}
    assert json.loads(refusal)["status"] == 401
    assert all(answer in " ".join(SECTION.split()) for answer in ANSWERS)

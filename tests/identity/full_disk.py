"""Mount a file system of some megabytes that a test fills."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_BLOCK = 4096


class SmallDisk:
    """Represent a small file system.

    Attributes:
        folder: its mount point.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Write until the disk is full."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            while True:
                file.write(bytes(_BLOCK))

    def make_room(self) -> None:
        """Delete the file that `fill` has written."""
        self._filler.unlink()


def _mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, check=False, capture_output=True, text=True)


@contextlib.contextmanager
def small_disk(megabytes: int) -> Iterator[SmallDisk]:
    """Mount a file system in memory; skip the test if that is not allowed."""
    folder = Path(tempfile.mkdtemp(prefix="authguard-disk-", dir="/tmp"))
    mounted = _mount("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder))
    if mounted.returncode:
        folder.rmdir()
        assert os.environ.get("CI") != "true", mounted.stderr
        pytest.skip(f"no file system can be mounted: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        _mount("umount", "--lazy", str(folder))
        folder.rmdir()

"""Mount a file system of a few megabytes for one test, to fill the disk."""

from __future__ import annotations

import os
import subprocess

import pytest


@pytest.fixture
def small_tmpfs(tmp_path):
    """A directory on a file system of its own of 4 MB; skipped where mounting is not allowed, except in CI."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "psk-small", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = mounted.stderr.strip()
    except FileNotFoundError as error:
        mounted, reason = None, str(error)
    if mounted is None or mounted.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"cannot mount a small tmpfs: {reason}")
    yield place
    subprocess.run(["umount", str(place)], check=True)

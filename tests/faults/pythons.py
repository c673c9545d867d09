"""Find the Pythons on this machine. Tests use those that are found and report the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")


def find_python(version):
    """Find an interpreter of a version, on the path or where pyenv keeps them; None if there is none."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for candidate in (*sorted(pyenv.glob(f"versions/{version}.*/bin/python")), shutil.which(f"python{version}")):
        # A name on the path may be a stub that knows no such version.
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(candidate)
    return None


def uv(*arguments):
    """Run uv, the one beside this interpreter if there is one, and give what it prints."""
    beside = Path(sys.executable).with_name("uv")
    command = [beside if beside.exists() else "uv", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout

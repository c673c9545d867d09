"""Does the core keep its promises on every other Python that is found here?"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from faults.pythons import SUPPORTED, find_python, uv

ROOT = Path(__file__).parents[1]
#: What depends on the interpreter; the rest speaks to the operating system, which is the same for all of them.
DEPENDENT = ("proxy", "wire", "store", "background")
OTHERS = [version for version in SUPPORTED if version != f"{sys.version_info[0]}.{sys.version_info[1]}"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", OTHERS)
def test_the_core_on(version):
    python = find_python(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    environment = ROOT / ".pythons" / version
    if not environment.exists():
        uv("venv", "--quiet", "--python", python, environment)
    uv("pip", "install", "--quiet", "--python", environment, "--project", ROOT, "--group", "test", "-e", ROOT / "core")
    command = [environment / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # Its run makes a temporary directory of its own, which must not lie in ours: some tests count the letters of paths.
    environment_variables = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    done = subprocess.run(
        [*command, *(ROOT / "core/tests" / area for area in DEPENDENT)],
        cwd=ROOT,
        env={**environment_variables, "PYTHONDONTWRITEBYTECODE": "1", "PSK_SCALE": "test"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-2000:])  # noqa: T201  shown by pytest when the test fails
    assert done.returncode == 0


def test_every_python_is_tried_for_each_change():
    assert f"python: {json.dumps(list(SUPPORTED))}" in (ROOT / ".github/workflows/test.yml").read_text()

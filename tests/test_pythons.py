"""Run the core, and the patterns at exit, on every other Python that is found on this machine."""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from faults.pythons import SUPPORTED, find_python, uv

ROOT = Path(__file__).parents[1]
#: What depends on the interpreter; the rest speaks to the operating system, which is the same for all of them.
DEPENDENT = (
    *(f"core/tests/{area}" for area in ("proxy", "wire", "store", "background")),
    "packages/patterns/tests/test_deferred_cleanup.py",
    "packages/patterns/tests/lifetimes/test_lifetimes_at_exit.py",
)
OTHERS = [version for version in SUPPORTED if version != f"{sys.version_info[0]}.{sys.version_info[1]}"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Start the tests on all of them at once; give each one's process and the file that it prints to."""
    place = tmp_path_factory.mktemp("pythons")
    found = {version: python for version in OTHERS if (python := find_python(version))}
    for version, python in found.items():
        environment = ROOT / ".pythons" / version
        if not environment.exists():
            uv("venv", "--quiet", "--python", python, environment)
        install = ("pip", "install", "--quiet", "--python", environment, "--project", ROOT, "--group", "test")
        uv(*install, "-e", ROOT / "core", "-e", ROOT / "packages/patterns", "-e", ROOT / "packages/testing")
    with ExitStack() as stack:
        yield {version: begin(stack, version, place / version) for version in found}


def begin(stack, version, printed):
    """Start the tests on one of them."""
    command = [ROOT / ".pythons" / version / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    # Its run makes a temporary directory of its own, which must not lie in ours: some tests count the letters of paths.
    environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
    output = stack.enter_context(printed.open("w"))
    process = subprocess.Popen(
        [*command, *(ROOT / tests for tests in DEPENDENT)],
        cwd=ROOT,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1", "PSK_SCALE": "test"},
        stdout=output,
        stderr=output,
    )
    stack.enter_context(process)
    stack.callback(process.kill)  # which does nothing to one that has ended
    return process, printed


@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", OTHERS)
def test_what_depends_on_the_interpreter_on(runs, version):
    if version not in runs:
        pytest.skip(f"no Python {version} on this machine")
    process, printed = runs[version]
    status = process.wait()
    print(printed.read_text()[-2000:])  # noqa: T201  shown by pytest when the test fails
    assert status == 0


def test_every_python_is_tried_for_each_change():
    assert f"python: {json.dumps(list(SUPPORTED))}" in (ROOT / ".github/workflows/test.yml").read_text()

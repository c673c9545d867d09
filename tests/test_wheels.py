"""Install a built wheel into an empty environment, on every Python that is found on this machine."""

import subprocess
from pathlib import Path

import pytest

from faults.pythons import SUPPORTED, find_python, uv

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    built = tmp_path_factory.mktemp("wheels")
    uv("build", "--quiet", "--wheel", "--out-dir", str(built), str(ROOT / "core"))
    return next(built.glob("psk_core-*.whl"))


@pytest.fixture(params=SUPPORTED)
def python(request, tmp_path, wheel):
    """The interpreter of an environment that holds the wheel and nothing else."""
    found = find_python(request.param)
    if found is None:
        pytest.skip(f"no Python {request.param} on this machine")
    uv("venv", "--quiet", "--python", found, str(tmp_path / "empty"))
    python = tmp_path / "empty/bin/python"
    uv("pip", "install", "--quiet", "--python", str(python), str(wheel))
    return python


def test_the_core_installs_itself_alone_and_does_its_main_job(python):
    listed = uv("pip", "list", "--python", str(python), "--format", "freeze")
    assert [line.partition("==")[0] for line in listed.split()] == ["psk-core"]
    example = subprocess.run(
        [python, ROOT / "examples/map_reduce.py", "--files", "20"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert example.returncode == 0, example.stderr

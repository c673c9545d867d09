"""The project that `psk plugins new` writes is complete, clean, and passes its tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from psk.cli import Exit
from psk_testing.scaffold import LONGEST_NAME, requirement

CORE = Path(__file__).parents[3] / "core"
LONG_NAME = "a-connector-of-some-kind"


def tool(name):
    """Find a program of this environment; only `make lint` needs them, so that they may be missing."""
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        pytest.skip(f"no {name} in this environment")
    return found


@pytest.fixture
def project(psk, tmp_path):
    """Write the project of a name and give its folder."""

    def write(name):
        done = psk("plugins", "new", name, "--directory", tmp_path / "made", "--json")
        assert (done.code, done.err) == (Exit.DONE, "")
        return Path(done.document["folder"])

    return write


NO_NAMES = (
    *("", "Mine", "my_cache", "my.cache", "mine+unix", "-mine", "mine-", "my--cache", "7", "1st", "mïne", "mine\n"),
    *("..", "../mine", "a" * (LONGEST_NAME + 1), "file", "shm", "redis", "valkey"),
)


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_cannot_be_is_refused(psk, tmp_path, name):
    done = psk("plugins", "new", "--directory", tmp_path, "--", name)
    assert done.code == Exit.USAGE
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_an_installed_connector_is_refused(psk, shelf, tmp_path):
    shelf.add("their-sea", {"connector.sea": "their_sea"})
    done = psk("plugins", "new", "sea", "--directory", tmp_path / "made")
    assert done.code == Exit.USAGE
    assert "their-sea" in done.err


def test_what_is_there_is_not_touched(psk, project):
    folder = project("mine")
    (folder / "README.md").write_text("my own words")
    done = psk("plugins", "new", "mine", "--directory", folder.parent)
    assert done.code == Exit.USAGE
    assert "exists already" in done.err
    assert (folder / "README.md").read_text() == "my own words"


@pytest.mark.parametrize("place", ["/proc", "/proc/nothing", "/dev/null"])
def test_where_no_folder_can_be_another_is_asked_for(psk, place):
    done = psk("plugins", "new", "mine", "--directory", place)
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert f"{place}/psk-connector-mine cannot be made" in done.err
    assert "with --directory" in done.err


def test_half_a_project_is_none(psk, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    done = psk("plugins", "new", "mine", "--directory", tmp_path)
    assert done.code == Exit.FAILED
    assert done.err == "psk: error: No space left on device\n"
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_to_do_next(psk, tmp_path):
    done = psk("plugins", "new", "mine", "--directory", tmp_path / "my projects")
    assert f"cd '{tmp_path}/my projects/psk-connector-mine'" in done.out
    assert 'pip install -e ".[test]"' in done.out


@pytest.mark.parametrize("name", ["mine", "s3", LONG_NAME])
def test_the_project_is_complete_and_clean(project, name):
    folder = project(name)
    assert {path.name for path in folder.iterdir()} == {
        *(".github", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "src", "tests"),
    }
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert not re.search(r"@\w+@", text), path
            assert path.suffix != ".in"
            assert max(map(len, text.splitlines()), default=0) <= 130, path
    ruff = tool("ruff")
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff, *words, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_its_types_are_strict(project, tmp_path):
    folder = project("mine")
    done = subprocess.run(
        [tool("mypy"), "--cache-dir", tmp_path / "cache", "src"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(CORE / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("version", "range_of_it"),
    [
        ("0.1.0", "psk-core>=0.1,<0.2"),
        ("0.9.3rc1", "psk-core>=0.9,<0.10"),
        ("1.0.0", "psk-core>=1.0,<2"),
        ("12.3.4.dev5", "psk-core>=12.3,<13"),
    ],
)
def test_it_requires_the_releases_that_keep_its_contract(version, range_of_it):
    assert requirement("psk-core", version) == range_of_it

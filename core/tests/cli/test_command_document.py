"""The commands of docs/cli.md run, and print what it shows except for numbers and places."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from psk import cli
from psk.cli.commands import typed
from psk.plugins.builtin import COMMANDS

PAGE = (Path(__file__).parents[3] / "docs/cli.md").read_text()
FENCES = re.findall(r"^```console run\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
PLACE = "/tmp/psk-doc"
MASKS = (
    (r"\b[0-9a-f]{32}\b", "KEY"),
    (r"\bfile://\S+", "URI"),
    (r"\d[\d.,]* ?(ns|us|ms|s|B|kB|MB|GB|TB)(/s)?(?!\w)", "AMOUNT"),
    (r"\s+", " "),
)


def masked(text):
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return text.strip()


def steps(fence):
    """Give pairs of a command and what it is said to print."""
    for step in re.split(r"^\$ ", fence, flags=re.MULTILINE)[1:]:
        lines = step.splitlines()
        command = [lines.pop(0)]
        while lines and lines[0].startswith(">"):
            command.append(lines.pop(0)[2:])
        yield "\n".join(command), "\n".join(lines)


@pytest.fixture
def shell(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    (place / "note.txt").write_text("a note\n")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, words in (("psk", "-m psk"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (folder / name).chmod(0o755)

    def run(script):
        done = subprocess.run(
            ["/bin/sh", "-c", script.replace(PLACE, str(tmp_path))],
            cwd=place,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        return done.stdout

    return run


@pytest.mark.parametrize("fence", FENCES, ids=[next(steps(fence))[0].splitlines()[0] for fence in FENCES])
def test_the_page_shows_what_happens(shell, fence):
    expected = list(steps(fence))
    # One shell runs them all, so that files and exit codes carry over; a mark stands before what each prints.
    mark = "--- next ---"
    script = "\n".join(f"code=$?; echo; echo '{mark}'; (exit $code)\n{command}" for command, _ in expected)
    printed = shell(script).split(mark)[1:]
    for (command, says), found in zip(expected, printed, strict=True):
        assert masked(found) == masked(says), command


def test_the_page_has_every_command():
    for name in COMMANDS:
        assert re.search(rf"^#+ `psk {typed(name)}\b", PAGE, flags=re.MULTILINE), name


def test_the_page_names_all_that_commands_of_plugins_can_use():
    section = PAGE.partition("## Commands of plug-ins")[2]
    assert not [name for name in set(cli.__all__) - {"main"} if not re.search(rf"`{name}\b", section)]

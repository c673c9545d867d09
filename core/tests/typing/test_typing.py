"""mypy and pyright flag exactly what the examples say."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
EXAMPLES = [
    "accepted_uses.py",
    "connector_uses.py",
    "rejected_uses.py",
    "false_alarms.py",
    "subjects.py",
    "subscripts.py",
]


def expected(checker):
    """List the lines marked for a checker, as (file, line)."""
    marked = set()
    for name in EXAMPLES:
        for number, line in enumerate((HERE / name).read_text().splitlines(), 1):
            mark = re.search(r"# E: ([a-z ]+)$", line)
            if mark and checker in mark[1].split():
                marked.add((name, number))
    return marked


@pytest.fixture
def examples(tmp_path):
    """A folder with the examples and nothing else, out of reach of this repository's settings."""
    for name in EXAMPLES:
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


def run(command, folder):
    # Out of a virtual environment that is not activated, too.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = os.environ | {"MYPYPATH": str(SOURCE), "PATH": path}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=110
    )
    assert result.returncode in {0, 1}, result.stdout + result.stderr
    return result.stdout


def test_mypy_strict(examples):
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="]
    output = run([*command, "--cache-dir", str(examples / "cache"), *EXAMPLES], examples)
    found = {}
    for line in output.splitlines():
        name, number, message = line.split(":", 2)
        if not message.startswith(" note:"):
            found[name, int(number)] = message
    wanted = expected("mypy")
    assert {place: text for place, text in found.items() if place not in wanted} == {}
    assert wanted - set(found) == set()


def test_what_is_subscripted_can_be_evaluated():
    found = runpy.run_path(str(HERE / "subscripts.py"))
    assert {*get_type_hints(found["Engine"])} == {*found["Engine"].__annotations__}


def test_pyright(examples):
    pytest.importorskip("pyright")
    settings = {"extraPaths": [str(SOURCE)], "typeCheckingMode": "standard", "reportUnusedExpression": False}
    (examples / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    output = run(command, examples)
    found = {}
    for diagnostic in json.loads(output)["generalDiagnostics"]:
        if diagnostic["severity"] == "error":
            place = (Path(diagnostic["file"]).name, diagnostic["range"]["start"]["line"] + 1)
            found[place] = diagnostic["message"]
    wanted = expected("pyright")
    assert {place: text for place, text in found.items() if place not in wanted} == {}
    assert wanted - set(found) == set()

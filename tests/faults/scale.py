"""Number of trials of a test, their seed, and the count of failures."""

from __future__ import annotations

import os
import platform
import random
import subprocess
import tomllib
from pathlib import Path

import pytest

SCALE_FILE = Path(__file__).parents[1] / "scale.toml"
COLUMN = os.environ.get("PSK_SCALE", "test")


@pytest.fixture
def scale(request):
    """Look up the number of trials of a promise, as in `scale("file.bit_flips")`, and have it reported."""
    table = tomllib.loads(SCALE_FILE.read_text())

    def count(name):
        area, _, trial = name.partition(".")
        try:
            trials = table[area][trial][COLUMN]
        except KeyError:
            pytest.fail(f"{SCALE_FILE.name} has no count for {name!r} in column {COLUMN!r}")
        request.node.user_properties.append(("trials", (name, trials)))
        return trials

    return count


@pytest.fixture
def seed(request):
    """Give the seed of a randomised test; set PSK_SEED to repeat a run that failed."""
    value = int(os.environ.get("PSK_SEED") or random.SystemRandom().randrange(2**32))
    request.node.user_properties.append(("seed", value))
    print(f"{request.node.name}: PSK_SEED={value}")  # noqa: T201  captured, shown when the test fails
    return value


def counted(terminalreporter):
    """Give a row per counted promise and test: trials, seed, whether it failed."""
    rows = {}
    for outcome, reports in terminalreporter.stats.items():
        if outcome not in {"passed", "failed", "error"}:
            continue
        for report in reports:
            properties = getattr(report, "user_properties", [])
            seeds = [value for name, value in properties if name == "seed"]
            for name, trials in (value for name, value in properties if name == "trials"):
                test = report.nodeid.rpartition("::")[2]
                failed = rows.get((name, test), (0, "", 0))[2] or int(outcome != "passed")
                rows[name, test] = (trials, str(seeds[0]) if seeds else "-", failed)
    return rows


def circumstances():
    """Say what was tested, and on what."""
    command = ["git", "log", "-1", "--format=%H"]
    commit = subprocess.run(command, cwd=SCALE_FILE.parent, capture_output=True, text=True, check=False).stdout.strip()
    system = platform.uname()
    python = f"Python {platform.python_version()}"
    return f"commit {commit}, {python}, {system.system} {system.release}, {os.cpu_count()} processors"


def pytest_terminal_summary(terminalreporter):
    """Print the counts, and write them down where PSK_EVIDENCE says."""
    rows = counted(terminalreporter)
    if not rows:
        return
    lines = [f"{'count of':<28}{'trials':>8}{'seed':>12}{'failed':>8}  test"]
    for (name, test), (trials, seed_used, failed) in sorted(rows.items()):
        lines.append(f"{name:<28}{trials:>8}{seed_used:>12}{failed:>8}  {test}")
    terminalreporter.section(f"promises, counted (column {COLUMN!r})")
    terminalreporter.write_line("\n".join(lines))
    if evidence := os.environ.get("PSK_EVIDENCE"):
        outcomes = ", ".join(
            f"{len(reports)} {outcome}" for outcome, reports in terminalreporter.stats.items() if outcome
        )
        Path(evidence).parent.mkdir(parents=True, exist_ok=True)
        Path(evidence).write_text("\n".join([circumstances(), outcomes, "", *lines, ""]))

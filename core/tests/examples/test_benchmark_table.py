"""Does the table of benchmarks say what the samples say?"""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


def test_a_target_is_met_by_the_median_alone():
    from row import Row

    theirs = [10e-6, 10e-6, 90e-6]
    assert Row("", "us", [4e-6, 4e-6, 99e-6], theirs, ratio=0.4).met is True
    assert Row("", "us", [1e-6, 4.1e-6, 5e-6], theirs, ratio=0.4).met is False
    assert Row("", "ms", [0.030], [], limit=30).met is True
    assert Row("", "ms", [0.031], [], limit=30).met is False
    assert Row("", "ms", [0.031], theirs).met is None


def test_a_missed_target_stands_out():
    from row import HEADER, Row
    from table import markdown

    rows = [Row("a", "us", [2e-6], [1e-6], ratio=1.0), Row("b", "bytes", [158], [832], limit=200, digits=0)]
    printed = markdown(HEADER, [row.cells() for row in rows]).splitlines()
    assert len({len(line) for line in printed}) == 1
    assert [cell.strip() for cell in printed[2].split("|")] == [
        "",
        "a",
        "2.0 us ± 0.0",
        "1.0 us ± 0.0",
        "2.00",
        "<= 1x",
        "NO",
        "",
    ]
    assert [cell.strip() for cell in printed[3].split("|")] == [
        "",
        "b",
        "158 bytes",
        "832 bytes",
        "0.19",
        "<= 200 bytes",
        "yes",
        "",
    ]


def test_contestants_take_turns_and_the_first_turn_does_not_count():
    from timing import take_turns

    turns = []
    contestants = {name: lambda name=name: turns.append(name) or {"work": len(turns)} for name in "ab"}
    assert take_turns(contestants, 2) == {"a": {"work": [4, 5]}, "b": {"work": [3, 6]}}
    assert "".join(turns) == "abbaab"

"""Medians, ratios and targets in the table of benchmarks."""

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
    from row import Row
    from table import results_table

    rows = [Row("a", "us", [2e-6, 2e-6], [1e-6, 1e-6], ratio=1.0), Row("b", "bytes", [158], [832], limit=200, digits=0)]
    printed = results_table([row.as_dict() for row in rows]).splitlines()
    assert len({len(line) for line in printed}) == 1
    assert texts(printed[0]) == ["measured", "psk", "ProxyStore", "ratio", "target", "met"]
    assert texts(printed[2]) == ["a", "2.0 us ± 0.0", "1.0 us ± 0.0", "2.00", "<= 1x", "NO"]
    assert texts(printed[3]) == ["b", "158 bytes", "832 bytes", "0.19", "<= 200 bytes", "yes"]


def test_a_third_library_has_a_column_only_where_it_was_measured():
    from row import Row
    from table import results_table

    alone, beside = Row("a", "s", [1.0], []).as_dict(), Row("b", "s", [1.0], [], ray=[2.0]).as_dict()
    assert "Ray" not in results_table([alone])
    header, _, *rows = results_table([alone, beside]).splitlines()
    assert texts(header) == ["measured", "psk", "Ray"]
    assert [texts(row) for row in rows] == [["a", "1.0 s", ""], ["b", "1.0 s", "2.0 s"]]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (13.086, "13.09"),
        (1.0, "1.00"),
        (0.1, "0.10"),
        (0.064, "0.064"),
        (0.0008, "0.0008"),
        (0.00002, "<0.0001"),
        (0, "<0.0001"),
    ],
)
def test_a_ratio_shows_its_first_digits(value, shown):
    from table import ratio

    assert ratio(value) == shown


def test_multiples_are_held_to_their_limit_and_not_divided_again():
    from row import Row

    row = Row("", "times", [1.4], [1.0], limit=1.35)
    assert row.met is False
    assert row.reached is None


def texts(line):
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_contestants_take_turns_and_the_first_turn_does_not_count():
    from timing import take_turns

    turns = []
    contestants = {name: lambda name=name: turns.append(name) or {"work": len(turns)} for name in "ab"}
    assert take_turns(contestants, 2) == {"a": {"work": [4, 5]}, "b": {"work": [3, 6]}}
    assert "".join(turns) == "abbaab"

"""The chart and table in the README show what was measured."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for path in BENCHMARKS.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def results():
    from readme import SHOWN
    from row import Row

    rows = [Row(what, "ms", [1e-3], [4e-3], limit=2).as_dict() for what in [*SHOWN, "not shown"]]
    return {"environment": {"proxystore": "1.1.0", "ray": None, "python": "3.11", "processors": 2}, "rows": rows}


def bars(chart):
    """Give colour and length of each bar that lies upon a track, and the length of the tracks."""
    root = ET.fromstring(chart)
    found = [(rect.get("fill"), float(rect.get("width"))) for rect in root.iter(f"{SVG}rect")][1:]
    return found[1::2], {length for _, length in found[::2]}


def test_bars_are_as_long_as_the_ratios():
    from bars import LEAST, OURS, draw
    from row import Row

    rows = [Row("", "s", [ours], [1.0]).as_dict() for ours in (0.5, 0.25, 0.0)]
    drawn, (track,) = bars(draw(rows))
    assert drawn == [(OURS, track / 2), (OURS, track / 4), (OURS, LEAST)]


def test_a_longer_bar_than_the_other_library_stands_out_and_stays_in_its_place():
    from bars import MISSED, OUR_FIGURES, OURS, ZERO, draw
    from row import Row

    rows = [Row("", "s", [ours], [1.0]).as_dict() for ours in (2.0, 1.0)]
    drawn, (track,) = bars(draw(rows))
    assert drawn == [(MISSED, 2 * track), (OURS, track)]
    assert ZERO + 2 * track < OUR_FIGURES - 80


def test_the_chart_says_in_words_what_it_shows():
    from bars import draw
    from row import Row

    chart = draw([Row("get <1> & `more`", "ms", [1e-3], [4e-3]).as_dict()])
    root = ET.fromstring(chart)
    assert root.find(f"{SVG}desc").text == "get <1> & `more`: 1.0 ms, with ProxyStore 4.0 ms"
    shown = [element.text for element in root.iter(f"{SVG}text")]
    assert {"get <1> & more", "0.25", "1.0 ms", "4.0 ms"} <= set(shown)


def test_every_name_fits_beside_its_bar(results):
    from readme import shown

    charted = [row["what"] for row in shown(results["rows"])]
    assert max(map(len, charted)) <= 45
    assert len(set(charted)) == len(charted)


def test_only_the_section_between_the_markers_is_rewritten(results, tmp_path, monkeypatch):
    import readme

    page = tmp_path / "README.md"
    page.write_text(f"before\n{readme.START}\nold\n{readme.END}\nafter\n")
    monkeypatch.setattr(readme, "README", page)
    monkeypatch.setattr(readme, "ROOT", tmp_path)
    monkeypatch.setattr(readme, "CHART", tmp_path / "bench.svg")
    readme.publish(results)
    once = page.read_text()
    readme.publish(results)
    assert page.read_text() == once
    assert once.startswith(f"before\n{readme.START}\n")
    assert once.endswith(f"{readme.END}\nafter\n")
    assert "(bench.svg)" in once
    assert "old" not in once
    assert "not shown" not in once
    assert once.count("| yes |") == len(readme.SHOWN)
    ET.parse(tmp_path / "bench.svg")


def test_what_was_missed_is_named_even_if_it_is_not_in_the_table(results):
    from readme import section, shown

    results["rows"][-1] |= {"met": False}
    count = len(results["rows"])
    text = section(results, shown(results["rows"]))
    assert f"{count - 1} of the {count} targets in the whole table are met. Missed: not shown." in text


def test_a_partial_run_is_not_shown(results):
    from readme import publish

    missing = results["rows"].pop(0)
    with pytest.raises(ValueError, match="measure every topic") as refused:
        publish(results)
    assert missing["what"] in str(refused.value)


def test_without_ray_the_others_are_measured(tmp_path, monkeypatch, capsys):
    import ray_rival

    monkeypatch.setattr(ray_rival, "ENVIRONMENT", tmp_path)
    with ray_rival.ray_turns() as ray:
        assert ray is None
    assert "without Ray, which is not installed" in capsys.readouterr().err


def test_a_ray_that_does_not_start_is_left_out_and_says_why(tmp_path, monkeypatch, capsys):
    import ray_rival

    installed = tmp_path / "lib" / "python3" / "site-packages" / "ray-2.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Name: ray\nVersion: 2.0\n")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho no room >&2\n")
    python.chmod(0o700)
    monkeypatch.setattr(ray_rival, "ENVIRONMENT", tmp_path)
    with ray_rival.ray_turns() as ray:
        assert ray is None
    assert "without Ray, which did not start: no room" in capsys.readouterr().err

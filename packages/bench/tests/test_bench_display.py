"""Percentiles, bars, progress and pictures of `psk bench`."""

import io
import json
import os
import pty
import subprocess
import sys

import pytest

from psk.cli import Exit
from psk_bench import sweep as progressing
from psk_bench.chart import WIDTH, chart
from psk_bench.sweep import Progress, Series


def series_of(label, nbytes, *seconds, operation="put"):
    one = Series(label, operation, nbytes)
    one.seconds += seconds
    return one


def test_percentiles_are_times_that_were_measured():
    one = series_of("a", 100, *[number / 100 for number in range(100, 0, -1)])
    assert [one.percentile(percent) for percent in (0, 1, 50, 90, 99, 100)] == [0.01, 0.01, 0.5, 0.9, 0.99, 1.0]
    assert series_of("a", 100, 7.0).percentile(99) == series_of("a", 100, 7.0).percentile(50) == 7.0
    assert series_of("a", 100, 1.0, 3.0).throughput == 50


@pytest.mark.parametrize("blocks", [True, False])
def test_a_longer_bar_is_more(blocks):
    rates = [3e3, 1e5, 2.7e6, 4e6, 9.9e9]
    series = [series_of("a", 10**at, 10**at / rate) for at, rate in enumerate(rates, start=2)]
    title, *bars, axis, names = chart(series, "title", blocks=blocks)
    assert title == "title"
    lengths = [sum(sign in "█▏▎▍▌▋▊▉#" for sign in bar) for bar in bars]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) == len(lengths) - (lengths[2] == lengths[3])
    assert max(map(len, (*bars, axis, names))) <= WIDTH
    assert names.split("/s")[:2] == ["    1 kB", names.split("/s")[1]]
    assert names.rstrip().endswith("10 GB/s")


def test_equal_channels_have_a_chart_too():
    lines = list(chart([series_of("a", 10, 1.0), series_of("b", 10, 1.0)], "title"))
    assert len(lines) == 5
    assert max(map(len, lines)) <= WIDTH


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_who_waits_at_a_terminal_sees_that_it_goes_on(monkeypatch):
    monkeypatch.setattr(progressing, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progressing, "TERMINAL_PAUSE", 0.0)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress() as progress:
        progress.tell("this")
        progress.tell("that")
    said = sys.stderr.getvalue()
    assert "psk bench, 0 s: this" in said
    assert said.endswith("psk bench, 0 s: that\r\x1b[K")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(progressing, "LOG_PAUSE", 0.0)
    with Progress() as progress:
        progress.tell("this")
    assert sys.stderr.getvalue() == "psk bench, 0 s: this\n"
    monkeypatch.setattr(sys, "stderr", None)
    with Progress() as progress:
        progress.tell("this")


def test_progress_does_not_disturb_the_answer(command):
    ours, theirs = pty.openpty()
    try:
        words = ["bench", "local://", "--sizes", "1k", "--count", "1000000", "--seconds", "1.5", "--json"]
        done = command(*words, capture_output=False, stdout=subprocess.PIPE, stderr=theirs)
        said = os.read(ours, 10_000)
    finally:
        os.close(ours)
        os.close(theirs)
    assert json.loads(done.stdout)["results"]
    assert b"1 kB: round " in said
    assert said.endswith(b"\r\x1b[K")


PICTURES = """
import json, sys
from psk.cli import main
words = ["bench", "local://", "shm://", "--sizes", "1k,5k", "--count", "2", "--json", "--plot"]
print(json.dumps([main([*words, name]) for name in sys.argv[1:]]), file=sys.stderr)
"""


def test_a_picture_is_drawn(tmp_path):
    # In a process of its own, where matplotlib keeps the files of its fonts open; one, since it takes long to import.
    pytest.importorskip("matplotlib", reason="psk bench draws where matplotlib is installed")
    names = ["a.png", "a.SVG", "nowhere/a.png"]
    done = subprocess.run([sys.executable, "-c", PICTURES, *names], cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stderr) == [Exit.DONE, Exit.DONE, Exit.USAGE]
    assert [name.encode() in done.stdout for name in names[:2]] == [True, True]
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.SVG").read_bytes().startswith(b"<?xml")


def test_without_matplotlib_nothing_is_begun(psk, monkeypatch, tmp_path):
    for module in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = psk("bench", f"file://{tmp_path}/objects", "--plot", "a.png", "--json")
    assert done.code == Exit.USAGE
    assert done.document["remedy"] == "pip install matplotlib"

"""Interleaved rounds, sizes and time limits in the sweep of `psk bench`."""

import pytest

from psk.cli import Exit
from psk.errors import ChannelFullError
from psk_bench.sizes import read_sizes, size_text
from psk_bench.sweep import Progress, Sweep


class Fake:
    """Counts its rounds."""

    def __init__(self, label, log, room=10**9):
        self.label, self.log, self.room = label, log, room

    def round(self, data):
        if len(data) > self.room:
            raise ChannelFullError("no room")
        self.log.append((self.label, bytes(data)))
        return 0.25, 0.5


def test_rounds_are_interleaved_and_each_has_its_own_object():
    log = []
    sweep = Sweep([Fake("a", log), Fake("b", log), Fake("c", log, room=50)], [10, 100], rounds=3, seconds=10)
    with Progress() as progress:
        sweep.run(progress)
    labels = "".join(label for label, _ in log)
    assert labels[3:12] == "abcbcacab"  # after the warm-up
    assert labels[12:] == "ababbaab"
    assert len({data for _, data in log}) == 8
    assert [(one.label, one.operation, one.nbytes, one.seconds) for one in sweep.series] == [
        (label, operation, nbytes, [seconds] * 3)
        for nbytes, labels in ((10, "abc"), (100, "ab"))
        for label in labels
        for operation, seconds in (("put", 0.25), ("get", 0.5))
    ]
    assert sweep.problems == [("c", 100, "no room")]


def test_a_size_ends_with_its_time():
    log = []
    with Progress() as progress:
        Sweep([Fake("a", log)], [10], rounds=1000, seconds=1e-9).run(progress)
    assert len(log) == 4  # one to warm up, and three in any case


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("1k,100k", [1000, 100_000]),
        ("512", [512]),
        ("2.5MB, 1 GiB,1KiB", [1024, 2_500_000, 1 << 30]),
        ("1K,1k,1kB", [1000]),
        ("0.5k", [500]),
        ("1T", [10**12]),
    ],
)
def test_sizes_are_read(text, sizes):
    assert read_sizes(text) == sizes


@pytest.mark.parametrize("text", ["", "0", "-1", "1,", "1x", "k", "1e3", "1kk", "0.1", "2T", "1 0", "NaN"])
def test_what_is_no_size_is_refused(psk, text):
    done = psk("bench", "local://", f"--sizes={text}")
    assert done.code == Exit.USAGE
    assert "--sizes" in done.err


@pytest.mark.parametrize("nbytes", [1, 999, 1000, 1024, 1234, 2500, 65536, 10**6, 1 << 20, 10**9, 1 << 40, 10**12])
def test_a_size_as_it_is_written_is_that_size(nbytes):
    (read,) = read_sizes(size_text(nbytes))
    assert abs(read - nbytes) <= nbytes / 1000

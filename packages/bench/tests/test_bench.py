"""Run `psk bench` on several channels: what it measures, its width of 80 columns, and its cleanup."""

import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from psk.cli import Exit
from psk.connectors.file import FileConnector
from psk_bench.chart import WIDTH
from psk_bench.contender import Contender

WRONG = '''
    """Connectors that return something else than was put."""

    from psk.connectors import Frames
    from psk.connectors.local import LocalConnector
    from psk.plugins import ConnectorPlugin, hookimpl

    class Stale(LocalConnector):
        first = None
        def get(self, key, **options):
            self.first = self.first or super().get(key, **options)
            return self.first

    class Empty(LocalConnector):
        def get(self, key, **options):
            return None

    class Short(LocalConnector):
        def get(self, key, **options):
            whole = b"".join(map(bytes, super().get(key, **options).buffers))
            return Frames([whole[:-1]])

    for kind in (Stale, Empty, Short):
        kind.__slots__ = ()
        kind.scheme = kind.__name__.lower()

    @hookimpl
    def psk_connectors():
        return [
            ConnectorPlugin(schemes=[kind.scheme], target=f"their_wrong:{kind.__name__}")
            for kind in (Stale, Empty, Short)
        ]
'''


def test_channels_are_measured_side_by_side(psk, tmp_path):
    uris = [f"file://{tmp_path}/objects", "shm://", "local://"]
    done = psk("bench", *uris, "--sizes", "1k,100k", "--count", "4", "--json")
    assert (done.code, done.err) == (Exit.DONE, "")
    document = done.document
    assert document["channels"] == [{"channel": uri.partition(":")[0], "uri": uri} for uri in uris]
    assert document["problems"] == []
    assert document["plot"] is None
    assert len(document["results"]) == 3 * 2 * 2
    for row in document["results"]:
        assert row["rounds"] == 4
        assert 0 < row["least_seconds"] <= row["p50_seconds"] <= row["p90_seconds"] <= row["p99_seconds"] < 10
        assert row["least_seconds"] <= row["mean_seconds"] <= row["p99_seconds"]
        assert math.isclose(row["bytes_per_second"], row["nbytes"] / row["mean_seconds"])
    named = {(row["channel"], row["operation"], row["nbytes"]) for row in document["results"]}
    assert len(named) == len(document["results"])
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays(psk, tmp_path):
    uri = f"file://{tmp_path}/objects"
    (tmp_path / "note").write_text("stays")
    key = psk("put", uri, tmp_path / "note").out.strip()
    assert psk("bench", uri, "--sizes", "1k", "--count", "2").code == Exit.DONE
    assert psk("ls", uri).out.split() == [key]


def test_table_and_charts_fit_80_columns(psk, tmp_path):
    uris = [f"file://{tmp_path}/first", f"file://{tmp_path}/second", "shm://"]
    done = psk("bench", *uris, "--sizes", "512,1k,1MiB", "--count", "2")
    lines = done.out.splitlines()
    assert max(len(line) for line in lines if "://" not in line) <= WIDTH
    assert lines[1].split() == ["file", "1", uris[0]]
    header = next(line for line in lines if line.strip().startswith("PUT"))
    assert header.split() == ["PUT", "CHANNEL", "ROUNDS", "P50", "P90", "P99", "THROUGHPUT", "P50", "RATIO"]
    assert [line for line in lines if line.startswith("throughput of")] == ["throughput of put", "throughput of get"]
    assert done.out.count("1.00x") >= 6
    assert len(re.findall(r"^ *1 MiB ", done.out, re.MULTILINE)) == 4
    assert done.out.count("█") > 50
    one = psk("bench", "local://", "--sizes", "1k", "--count", "2").out
    assert "CHANNEL" not in one
    assert "RATIO" not in one


def test_a_plain_terminal_gets_plain_bars(command):
    done = command("bench", "local://", "--sizes", "1k", "--count", "2", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == Exit.DONE
    assert b"###" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize("kind", ["stale", "empty", "short"])
def test_wrong_data_is_told(psk, shelf, kind):
    shelf.add("their-wrong", {f"connector.{kind}": "their_wrong"}, {"their_wrong": WRONG})
    words = ["bench", f"{kind}://", "local://", "--sizes", "1k,2k", "--count", "3"]
    done = psk(*words, "--json")
    assert done.code == Exit.NO
    assert {problem["channel"] for problem in done.document["problems"]} == {kind}
    assert [row["rounds"] for row in done.document["results"] if row["channel"] == "local"] == [3] * 4
    assert f"{kind} returned" in psk(*words).out


def test_what_does_not_fit_is_left_out(psk):
    uri = f"shm://test-{os.urandom(4).hex()}?max_bytes=1000000"
    done = psk("bench", uri, "local://", "--sizes", "1k,2M", "--count", "2", "--json")
    assert done.code == Exit.DONE
    assert [(it["channel"], it["nbytes"]) for it in done.document["problems"]] == [("shm", 2_000_000)]
    assert len(done.document["results"]) == 6
    assert "shm, 2 MB: " in psk("bench", uri, "--sizes", "1k,2M", "--count", "2").out
    done = psk("bench", uri, "--sizes", "2M")
    assert done.code == Exit.DONE
    assert "throughput" not in done.out


def test_an_object_whose_evict_was_interrupted_goes_with_the_channel(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    contender = Contender("file", f"file://{tmp_path}/objects", None)
    with closing(contender), monkeypatch.context() as patch:
        patch.setattr(FileConnector, "evict", interrupt)
        with pytest.raises(KeyboardInterrupt):
            contender.round(bytearray(1000))
        with closing(FileConnector(tmp_path / "objects")) as connector:
            assert len(list(connector.keys())) == 1
    with closing(FileConnector(tmp_path / "objects")) as connector:
        assert list(connector.keys()) == []


def test_ctrl_c_leaves_nothing(tmp_path):
    # Whoever runs the tests in the background has made them ignore the signal.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program += "import sys; from psk.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["bench", f"file://{tmp_path}/objects", "--sizes", "5M", "--count", "100000", "--seconds", "60"]
    for pause in (0.0, 0.05, 0.11):
        running = subprocess.Popen([sys.executable, "-c", program, *words], stderr=subprocess.PIPE)
        with running:
            end = time.monotonic() + 30
            while not (tmp_path / "objects").exists() and time.monotonic() < end:
                time.sleep(0.01)
            time.sleep(pause)
            running.send_signal(signal.SIGINT)
            assert running.wait(30) == Exit.INTERRUPTED
            assert running.stderr.read() == b"psk: error: interrupted\n"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [["--count", "0"], ["--count", "many"], ["--seconds", "0"], ["--timeout", "-1"], ["--plot", "picture.nothing"]],
)
def test_senseless_options_are_refused(psk, words):
    assert psk("bench", "local://", *words).code == Exit.USAGE

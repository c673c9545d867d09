"""Arguments, help and exit codes of `psk bench`."""

import pytest

from psk.cli import Exit


def test_its_example_runs(run_example):
    done = run_example("bench")
    assert done.returncode == Exit.DONE, done.stderr


def test_its_help_ends_with_its_example(psk):
    page = psk("bench", "--help").out
    assert page.startswith("usage: psk bench")
    assert "\nexample:\n  psk bench --sizes" in page
    assert max(map(len, page.splitlines())) <= 120


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--seconds x", "argument --seconds: 'x' is not a time"),
        ("--sizes 1k,1x", "argument --sizes: '1x' is not a size; write 512, 100k, 10MB or 1GiB"),
        ("--sizes 0", "argument --sizes: '0' is not a size"),
        ("--count many", "argument --count: 'many' is not a number from 1 to 1000000"),
        ("--count 0", "argument --count: '0' is not a number from 1 to 1000000"),
    ],
)
def test_it_says_what_is_wrong(psk, tmp_path, options, says):
    done = psk("bench", f"file://{tmp_path}/objects", *options.split())
    assert (done.code, done.out) == (Exit.USAGE, "")
    assert says in done.err
    assert done.err.count("\n") == 1


def test_options_may_stand_between_channels(psk):
    done = psk("bench", "local://a", "--sizes", "1k", "local://b", "--count", "1", "--json")
    assert [one["uri"] for one in done.document["channels"]] == ["local://a", "local://b"]

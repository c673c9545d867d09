"""Tables, quantities and error documents have the form that people and programs expect."""

import json
import sys
from argparse import ArgumentTypeError, Namespace

import pytest

from psk.cli.output import (
    answer,
    bytes_text,
    error_document,
    plain,
    read_duration,
    seconds_text,
    table,
    without_secrets,
)
from psk.errors import ChannelFullError


def test_a_table_is_aligned_and_shows_what_is_missing():
    assert table(("name", "size"), [("a", 1), ("long name", None), ("b\x1b", 12345)], right=[1]).splitlines() == [
        "NAME        SIZE",
        "a              1",
        "long name      -",
        "b\\x1b      12345",
    ]
    assert table(("name",), []) == "NAME"


def test_an_answer_is_text_or_one_document(capsys):
    answer(Namespace(json=False), {"a": 1}, ["one", "two"])
    assert capsys.readouterr().out == "one\ntwo\n"
    answer(Namespace(json=True), {"a": "\udcff"}, (1 / 0 for _ in [1]))
    assert json.loads(capsys.readouterr().out) == {"a": "\udcff"}
    with pytest.raises(ValueError, match="JSON"):
        answer(Namespace(json=True), float("nan"), "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0.3", 0.3), (".5s", 0.5), ("30s", 30), ("10m", 600), ("1h", 3600), ("1.5h", 5400), ("2d", 172_800)],
)
def test_times_are_read_as_people_write_them(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "s", "0", "0h", "-1", "1e3", "1 h", "1H", "1w", "h1", "nan", "inf", "\u0663s", "9" * 400]
)
def test_what_is_not_a_time_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="is not a time of at most a century"):
        read_duration(text)


def test_what_a_terminal_cannot_show_is_escaped(monkeypatch, capsys):
    assert plain("a\x1b[2J\u202e\ud800é") == "a\\x1b[2J\\u202e\\ud800é"
    with open("/dev/null", "w", encoding="ascii") as narrow:
        monkeypatch.setattr(sys, "stdout", narrow)
        answer(Namespace(json=False), None, "é")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://ann:s3cret@host/0", "redis://ann:***@host/0"),
        ("redis://:s3cret@host/0 and redis://b:t@c", "redis://:***@host/0 and redis://b:***@c"),
        ("'redis://ann:s3/cr@et#?@host/0'", "'redis://ann:***@host/0'"),
        ("x://h?password=s3cret&db=1", "x://h?password=***&db=1"),
        ("x://h?db=1&Token=s3cret'", "x://h?db=1&Token=***'"),
        ("no redis://ann:s3cret, so", "no redis://***, so"),
        ("shm://?auth=s3cret has", "shm://?auth=*** has"),
        ("multi://a?to1=redis%3A%2F%2F%3As3cret%40h: none", "multi://a?to1=***: none"),
        ("file:///a:b@c/d", "file:///a:b@c/d"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://ann@host:6379/0", "redis://ann@host:6379/0"),
    ],
)
def test_secrets_are_masked(text, masked):
    assert without_secrets(text) == masked


def test_errors_become_documents():
    error = ChannelFullError("no room for x://a:b@c", found=["1 byte"], remedy="evict")
    assert error_document(error) == {
        "error": "ChannelFullError",
        "message": "no room for x://a:***@c",
        "remedy": "evict",
        "found": ["1 byte"],
    }
    assert error_document(MemoryError())["message"] == "MemoryError"
    assert error_document(KeyError("k"))["message"] == "KeyError: 'k'"
    assert error_document(OSError(28, "No space left", "/x"))["message"] == "/x: No space left"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (16_000_000, "16.0 MB"), (999_600, "1000 kB"), (3e12, "3.00 TB")],
)
def test_bytes(count, text):
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0.00 ns"), (1.5e-7, "150 ns"), (12.34e-6, "12.3 us"), (0.5, "500 ms"), (61, "61.0 s")]
)
def test_seconds(seconds, text):
    assert seconds_text(seconds) == text

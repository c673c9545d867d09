"""Commands report a channel that does not exist, and do not create it."""

import os

import pytest

from psk.cli.output import Exit

KEY = "0" * 32


@pytest.mark.parametrize("command", [["ls"], ["ls", "-l"], ["get"], ["rm"], ["rm", "--all", "--yes"], ["sweep"]])
def test_no_command_that_reads_makes_a_directory(psk, tmp_path, command):
    key = [KEY] if command in (["get"], ["rm"]) else []
    done = psk(*command, f"file://{tmp_path}/not/there", *key)
    assert done.code == Exit.FAILED
    assert "not/there': No such file or directory" in done.err
    assert done.out == ""
    assert os.listdir(tmp_path) == []


def test_no_command_that_reads_begins_a_session(psk):
    done = psk("ls", "shm://not-there")
    assert done.code == Exit.FAILED
    assert "this user has no session shm://not-there here" in done.err


def test_putting_makes_the_directory(psk, put, source, tmp_path):
    uri = f"file://{tmp_path}/new"
    key = put(uri, source)
    assert psk("ls", uri).out.split() == [key]

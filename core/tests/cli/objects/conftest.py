"""Fixtures of the tests of commands on objects: a channel in files, and a file to put."""

import pytest

from psk.cli.output import Exit


@pytest.fixture
def uri(tmp_path):
    """A channel that keeps files."""
    return f"file://{tmp_path}/objects"


@pytest.fixture
def source(tmp_path):
    """A file of 1.28 MB."""
    path = tmp_path / "some file"
    path.write_bytes(bytes(range(256)) * 5000)
    return path


@pytest.fixture
def put(psk):
    """Put a file and give its key: `put(uri, path, "--ttl", "1")`."""

    def run(uri, path, *more):
        done = psk("put", *more, uri, path, "--json")
        assert (done.code, done.err) == (Exit.DONE, "")
        return done.document["key"]

    return run

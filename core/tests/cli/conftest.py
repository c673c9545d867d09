"""Fixtures of the tests of commands."""

import pytest


@pytest.fixture
def write(tmp_path):
    """Write bytes to a file and give its path."""

    def to_file(data, name="object"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return to_file

"""The programs in documents that need a server run."""

import pytest

import documents


@pytest.mark.parametrize("program", documents.programs("redis"))
def test_program_runs_as_a_file(program, redis_server, tmp_path):
    documents.run_as_file(program, tmp_path, ("redis://localhost", redis_server.uri))

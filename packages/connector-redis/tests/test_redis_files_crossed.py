"""A warm call over Redis goes through few files of psk, so that it is quick to follow and quick to run."""

import sys
from pathlib import Path

import pytest

import psk
import psk_connector_redis
from psk import Store

SOURCES = tuple(str(Path(package.__file__).parent) for package in (psk, psk_connector_redis))
#: Files that a warm put or get may cross at most.
LIMIT = 13


def files_crossed(call):
    """Give the files of psk whose functions a call runs in this thread."""
    crossed = set()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(SOURCES):
            crossed.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return sorted(crossed)


@pytest.fixture
def warm(redis_server, request):
    uri = f"{redis_server.uri}?prefix={request.node.name}"
    with Store.from_uri(uri) as store:
        for _ in range(3):
            store.get(store.put({"a": 1}))
        yield store
        store.clear()


@pytest.mark.parametrize("call", ["put", "get"])
def test_a_call_crosses_few_files(warm, call):
    key = warm.put({"a": 1})
    crossed = files_crossed((lambda: warm.put({"a": 1})) if call == "put" else (lambda: warm.get(key)))
    assert 0 < len(crossed) <= LIMIT, crossed

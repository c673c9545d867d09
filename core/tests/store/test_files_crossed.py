"""A warm call goes through few files of psk, so that it is quick to follow and quick to run."""

import pickle
import sys
from pathlib import Path

import pytest

import psk
from psk import Store

SOURCES = str(Path(psk.__file__).parent)
#: In shared memory its payload has a size that no payload with an expiry has, so that no record is looked for.
VALUE = {"a": 1, "b": 2}


def files_crossed(call):
    """Give the files of psk whose functions a call runs in this thread."""
    crossed = set()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(SOURCES):
            crossed.add(frame.f_code.co_filename.removeprefix(SOURCES))

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return sorted(crossed)


@pytest.mark.parametrize(
    ("scheme", "name", "limit"),
    [
        ("local", "put", 9),
        ("local", "get", 9),
        ("local", "resolve", 15),
        ("shm", "put", 13),
        ("shm", "get", 13),
        ("shm", "resolve", 15),
        ("shm", "resolve what arrived", 17),
        ("file", "put", 13),
        ("file", "get", 16),
        ("file", "resolve", 19),
    ],
)
def test_a_warm_call_crosses_few_files(scheme, name, limit, tmp_path):
    with Store.from_uri(f"file://{tmp_path}/objects" if scheme == "file" else f"{scheme}://", register=True) as store:
        for _ in range(3):
            store.get(store.put(VALUE))
            psk.resolve(pickle.loads(pickle.dumps(store.proxy(VALUE))))
        key = store.put(VALUE)
        proxy = store.proxy(VALUE, populate_target=False)
        arrived = pickle.loads(pickle.dumps(store.proxy(VALUE)))
        calls = {
            "put": lambda: store.put(VALUE),
            "get": lambda: store.get(key),
            "resolve": lambda: psk.resolve(proxy),
            "resolve what arrived": lambda: psk.resolve(arrived),
        }
        crossed = files_crossed(calls[name])
        store.clear()
    assert "/store/store.py" in crossed
    assert len(crossed) <= limit, crossed

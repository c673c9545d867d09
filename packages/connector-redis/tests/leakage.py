"""Look for a secret in what a connector says of itself, what errors carry, and what processes show."""

from __future__ import annotations

import gc
import pickle
import traceback
from contextlib import suppress
from pathlib import Path

import psk
from psk.connectors import format_uri
from psk.errors import PskError
from psk.wire import encode

SECRET = "hunter2-tiger"
WRONG = "hunter3-zebra"
MODULE = "psk_connector_redis"


def leaks(*texts, secrets=(SECRET, WRONG)):
    """List where a secret stands, in whatever form."""
    found = []
    for text in texts:
        data = text if isinstance(text, bytes) else str(text).encode(errors="surrogateescape")
        found += [f"{secret} in {data!r:.300}" for secret in secrets if secret.encode() in data]
    return found


def everything_about(error):
    """Write down all that an error carries: what is printed, and what is pickled."""
    texts = ["".join(traceback.format_exception(error)), repr(error), repr(vars(error))]
    with suppress(Exception):
        texts.append(pickle.dumps(error))
    while error is not None:
        texts += [repr(error.args), str(error), repr(getattr(error, "__notes__", ()))]
        error = error.__cause__ or error.__context__
    return texts


def reachable(root):
    """Give the objects of this connector that can be reached from one."""
    seen, todo = {}, [root]
    while todo:
        one = todo.pop()
        if id(one) not in seen and not isinstance(one, type):
            seen[id(one)] = one
            todo += [each for each in gc.get_referents(one) if is_ours(each)]
    return list(seen.values())


def is_ours(one):
    return isinstance(one, dict | list | tuple | set) or type(one).__module__.startswith((MODULE, "redis.", "psk"))


def command_lines():
    """Give the command lines of all processes."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes())
    return lines


def everything_of(connector):
    """Write down all that a working connector says of itself, and what travels of it."""
    payload = encode("an object")
    key = connector.put(payload)
    connector.wait([key], timeout=5)
    with suppress(PskError):
        connector.wait(["0" * 32], timeout=0.01)
    said = [repr(connector), str(connector), repr(connector.config()), format_uri(connector.config())]
    said += [pickle.dumps(connector), repr(connector.durabilities), connector._channel.server.describe()]
    said += [repr(one) for one in reachable(connector) if type(one).__module__.startswith((MODULE, "redis."))]
    with psk.Store("secretive", connector, metrics=True) as store:
        proxy = store.proxy({"an": "object"})
        said += [repr(store), repr(store.config()), pickle.dumps(store), pickle.dumps(proxy), repr(proxy), store.uri]
        said.append(pickle.dumps(store.proxy([1])))
        assert proxy["an"] == "object"
        store.connector.clear()
        with suppress(PskError):
            store.get("no key")
    return said

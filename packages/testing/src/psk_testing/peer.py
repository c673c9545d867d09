"""The program that other processes run: small jobs on a channel, for tests to start and to kill.

Run by its path, so that it imports nothing but psk: `python peer.py <job> <arguments as JSON>`. At the signal
SIGUSR1 it writes the stacks of all threads to its standard error, also where native code hangs.
"""

from __future__ import annotations

import base64
import faulthandler
import hashlib
import json
import os
import pickle
import random
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from psk.connectors import Frames, Payload, open_connector
from psk.errors import KeyExistsError, ProxyResolveError
from psk.store import Store
from psk.wire import decode, encode, new_object_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (100, 70_000, 3_000_000, 5000)
SHARED = 12
"""Number of objects that all processes put, evict and read."""
EVICTED = 0.5
KEPT: list[object] = []
"""Connectors that stay open until the interpreter ends."""


def content(object_id: bytes) -> bytes:
    """Return the value that belongs under an object id, so that a mix-up is noticed."""
    return (object_id + hashlib.sha256(object_id).digest()) * (SIZES[object_id[0] % len(SIZES)] // 48 + 1)


def payload_of(object_id: bytes) -> Payload:
    """Encode what belongs under an object id, with a checksum."""
    return encode(content(object_id), object_id=object_id)


def value_of(frames: Frames) -> Any:
    """Read what a connector returned as a store does."""
    payload = Payload.parse(frames)
    payload.verify()
    return decode(payload)


def is_right(frames: Frames | None, key: str) -> bool:
    """Tell whether an object is what belongs under its key."""
    return frames is not None and bool(value_of(frames) == content(bytes.fromhex(key[:32])))


def say(line: object) -> None:
    """Tell the test something; at once, since this process may be killed next."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def await_start() -> None:
    """Say that all is ready, and wait until the test says that all others are."""
    say("ready")
    sys.stdin.readline()


def resolve(proxy: str) -> str:
    """Use a pickled proxy as the bytes of its target."""
    return hashlib.sha256(bytes(pickle.loads(base64.b64decode(proxy)))).hexdigest()  # noqa: S301  of the test's own


def rebuild(connector: str, uri: str, keys: list[str]) -> list[bool]:
    """Open the channel by a pickled connector and by its URI; tell which objects are right."""
    opened = [pickle.loads(base64.b64decode(connector)), open_connector(uri)]  # noqa: S301  as above
    return [is_right(one.get(key), key) for one in opened for key in keys]


def write(uri: str) -> None:
    """Put objects until the end, which comes from outside."""
    connector = open_connector(uri)
    while True:
        payload = payload_of(new_object_id())
        say(f"begun {payload.key}")
        say(f"done {connector.put(payload)}")


def race(uri: str, object_ids: list[str], text: str) -> list[bool]:
    """Put one text under each object id; return where it is stored."""
    connector = open_connector(uri)
    await_start()
    won = []
    for object_id in object_ids:
        try:
            connector.put(encode(text, object_id=bytes.fromhex(object_id)))
        except KeyExistsError:
            won.append(False)
        else:
            won.append(True)
    return won


def take(uri: str, keys: list[str], claim: str) -> list[str]:
    """Claim objects; tell which ones were had."""
    connector: Any = open_connector(uri)
    await_start()
    return [key for key in keys if is_right(connector.take(key, claim), key)]


def wait(uri: str, key: str) -> list[str]:
    """Wait for an object."""
    connector: Any = open_connector(uri)
    say("ready")
    found: list[str] = connector.wait([key], timeout=30)
    return found


def hold(uri: str) -> bool:
    """Put and read an object, and read it again when the test says so."""
    connector = open_connector(uri)
    key = connector.put(payload_of(new_object_id()))
    before = connector.get(key)
    await_start()
    return is_right(before, key) and is_right(connector.get(key), key)


def mix(uri: str, seed: int, turns: int, shared: str) -> dict[str, list[str]]:
    """Put, evict and read own objects and shared ones; tell what is there at the end, and what was wrong."""
    connector = open_connector(uri)
    chance = random.Random(seed)  # noqa: S311  no secret is made of it
    mine: list[str] = []
    wrong: list[str] = []
    await_start()
    for _ in range(turns):
        one = payload_of(bytes([chance.randrange(4)]) + bytes.fromhex(shared) + bytes([chance.randrange(SHARED)]))
        match chance.randrange(5):
            case 0:
                mine.append(connector.put(payload_of(new_object_id())))
            case 1 if mine:
                connector.evict(mine.pop(chance.randrange(len(mine))))
            case 2 if mine:
                wrong.extend(f"lost {key}" for key in chance.sample(mine, 1) if not is_right(connector.get(key), key))
            case 3 if chance.random() < EVICTED:
                connector.evict(one.key)
            case 3:
                connector.put(one)
            case _:
                frames = connector.get(one.key)
                if frames is not None and not is_right(frames, one.key):
                    wrong.append(f"wrong {one.key}")
    return {"mine": mine, "wrong": wrong}


def allocate(uri: str, nbytes: int, number: int) -> bool:
    """Hold allocations until this process is killed."""
    connector: Any = open_connector(uri)
    KEPT.extend(connector.allocate(nbytes) for _ in range(number))
    say("ready")
    await_start()
    return True


def leave(uri: str, busy: bool) -> bool:
    """Use the channel, perhaps also in threads that never end, and end with it open."""
    connector: Any = open_connector(uri)
    KEPT.append(connector)
    key = connector.put(payload_of(new_object_id()), ttl=1000 if hasattr(connector, "renew") else None)

    def read() -> None:
        with suppress(Exception):  # it may be closed at the end
            while True:
                connector.get(key)

    def wait() -> None:
        with suppress(Exception):
            connector.wait([new_object_id().hex()], timeout=1)

    for call in (read, wait) if busy else ():
        threading.Thread(target=call, daemon=True).start()
    return is_right(connector.get(key), key)


def use_in_pool(proxy: bytes) -> list[str]:
    """Resolve a proxy in each task of a forked pool; return a digest of each object, or the name of an error."""
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        return list(pool.map(digest_of, [proxy] * 4))


def digest_of(proxy: bytes) -> str:
    """Use a pickled proxy as the bytes of its target, or return the name of the error."""
    try:
        return hashlib.sha256(bytes(pickle.loads(proxy))).hexdigest()  # noqa: S301  of the test's own
    except ProxyResolveError as error:
        return type(error.__cause__ or error).__name__


def fork(uri: str) -> dict[str, Any]:
    """Resolve a proxy in forked pools, of this process and of a forked child of it, while the store is open here.

    Returns:
        The digest of the object, what the tasks of both pools gave, and the exit code of the child, which ends as
        an interpreter does.
    """
    store = Store("forked", open_connector(uri), register=True, cache_size=0)
    KEPT.append(store)
    value = content(new_object_id())
    proxy = pickle.dumps(store.proxy_from_key(store.put(value)))
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, json.dumps(use_in_pool(proxy)).encode())
        sys.exit()
    os.close(write)
    with os.fdopen(read) as said:
        in_child = said.read()
    _, status = os.waitpid(child, 0)
    return {
        "digest": hashlib.sha256(value).hexdigest(),
        "pool": use_in_pool(proxy),
        "pool of a child": json.loads(in_child or "[]"),
        "exit code of the child": os.waitstatus_to_exitcode(status),
    }


JOBS: dict[str, Callable[..., object]] = {
    job.__name__: job for job in (resolve, rebuild, write, race, take, wait, hold, mix, allocate, leave, fork)
}


def main(arguments: list[str]) -> Iterator[str]:
    """Run a job; the last line is its answer, or the error's name and message."""
    name, options = arguments
    if hasattr(faulthandler, "register"):  # not `dump_traceback_later`, for whose thread a forked child would wait
        faulthandler.register(signal.SIGUSR1)
    try:
        yield json.dumps({"answer": JOBS[name](**json.loads(options))})
    except Exception as error:  # noqa: BLE001  told to the test
        classes = [kind.__name__ for kind in type(error).__mro__]
        yield json.dumps({"error": classes, "message": f"{error}"})


if __name__ == "__main__":
    for last in main(sys.argv[1:]):
        say(last)

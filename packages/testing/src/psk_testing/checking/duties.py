"""Check the duties of every connector on a live channel."""

from __future__ import annotations

import math
import os
from contextlib import closing, suppress
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from psk.connectors import DURABILITIES, format_uri, open_connector
from psk.errors import ConnectorClosedError, ConnectorConfigError, InvalidArgumentError, InvalidKeyError, KeyExistsError
from psk.wire import Payload, encode
from psk_testing.checking.channel import Check, bytes_of, checks, require, require_error

if TYPE_CHECKING:
    from psk_testing.checking.channel import Channel


CHECKS: list[Check] = []
MALFORMED_KEYS = ("", "x", "0" * 31, "0" * 33, "A" * 32, "0" * 32 + "@", "../" + "0" * 29, "0" * 32 + "@" + "x" * 64)
SENSELESS_TIMES = (-1, math.nan, math.inf, "soon")
FRAME_BYTES = 10_000


@checks(
    CHECKS, "C2", "put returns a key that begins with the object id", fix="return payload.key, or payload.key@where"
)
def _key(channel: Channel) -> None:
    payload = channel.payload()
    key = channel.put(payload)
    require(isinstance(key, str) and key.partition("@")[0] == payload.key, f"the key of {payload.key} is {key!r:.120}")


@checks(CHECKS, "C21", "get returns the bytes that were put", fix="write payload.buffers() one after the other")
def _whole(channel: Channel) -> None:
    of_many_frames = encode([bytearray(os.urandom(FRAME_BYTES)), b"a", bytearray(os.urandom(FRAME_BYTES + 1))])
    for payload in (channel.payload(), channel.payload(0), channel.remembered(of_many_frames)):
        require(
            channel.get(channel.put(payload)) == payload.tobytes(),
            f"{payload.nbytes} bytes in {len(payload.frame_sizes)} frames did not come back as they were",
        )


@checks(CHECKS, "C22", "get of a key that was never put returns None", fix="tell a missing object from an error")
def _missing(channel: Channel) -> None:
    found = channel.connector.get(os.urandom(16).hex(), timeout=channel.timeout)
    require(found is None, f"it gave {type(found).__name__}")


@checks(CHECKS, "C27", "exists is true exactly when there is an object", fix="look at the same place as get")
def _exists(channel: Channel) -> None:
    payload = channel.payload()
    require(channel.connector.exists(payload.key, timeout=channel.timeout) is False, "it is not False before the put")
    key = channel.put(payload)
    require(channel.connector.exists(key, timeout=channel.timeout) is True, "it is not True after the put")


@checks(CHECKS, "C28", "evict removes the object, and may be repeated", fix="let a missing key pass")
def _evict(channel: Channel) -> None:
    key = channel.put(channel.payload())
    channel.evict(key)
    require(channel.get(key) is None, "the object is still there")
    channel.evict(key)


@checks(
    CHECKS,
    "C15",
    "the same payload put twice is one put",
    fix="compare the stored payload with the one being put: psk.connectors.is_same_payload",
)
def _repeated(channel: Channel) -> None:
    payload = channel.payload()
    first, second = channel.put(payload), channel.put(payload)
    require(first == second, f"two keys: {first} and {second}")
    channel.evict(first)
    require(channel.get(first) is None, "one evict did not remove it")


@checks(CHECKS, "C16", "put never overwrites", fix="place it so that only the first wins: link, INSERT, SET NX")
def _overwriting(channel: Channel) -> None:
    payload = channel.payload()
    key = channel.put(payload)
    other = channel.payload(object_id=payload.object_id)
    require_error(KeyExistsError, lambda: channel.put(other), "another payload under the same object id")
    require(channel.get(key) == payload.tobytes(), "the object that was there is not there any more")


@checks(CHECKS, "C17", "put keeps no buffer of the caller", fix="copy the payload's buffers before put returns")
def _aliasing(channel: Channel) -> None:
    data = bytearray(os.urandom(FRAME_BYTES))
    payload = channel.remembered(encode(data))
    before = payload.tobytes()
    key = channel.put(payload)
    data[:] = bytes(len(data))
    require(channel.get(key) == before, "what the caller did afterwards is seen in the object")


@checks(
    CHECKS, "C23", "what get returns is private, or nobody can write it", fix="return memory of psk.connectors.allocate"
)
def _private(channel: Channel) -> None:
    payload = channel.payload()
    key = channel.put(payload)
    frames = channel.connector.get(key, timeout=channel.timeout)
    require(frames is not None, "the object is not there")
    for buffer in frames.buffers:
        with memoryview(buffer) as view:
            if not view.readonly:
                view.cast("B")[:] = bytes(view.nbytes)
    require(channel.get(key) == payload.tobytes(), "what one reader wrote is seen by the next")


@checks(CHECKS, "C25", "size is a hint that is not believed", fix="read what the channel holds, however long that is")
def _size(channel: Channel) -> None:
    payload = channel.payload()
    key = channel.put(payload)
    for size in (0, payload.nbytes * 2):
        frames = channel.connector.get(key, size=size, timeout=channel.timeout)
        found = None if frames is None else Payload.parse(frames).tobytes()
        require(found == payload.tobytes(), f"with size={size} it did not come back as it was")


@checks(CHECKS, "C3", "malformed keys are refused", fix="call psk.connectors.validate_plain_key first in each method")
def _keys(channel: Channel) -> None:
    for key in MALFORMED_KEYS:
        for method in (channel.connector.get, channel.connector.exists, channel.connector.evict):
            require_error(InvalidKeyError, partial(method, key), f"{method.__name__}({key!r:.50})")


@checks(CHECKS, "C6", "invalid timeouts are refused", fix="use psk.connectors.deadline_after or check_timeout")
def _timeouts(channel: Channel) -> None:
    payload = channel.payload()
    calls = {"put": partial(channel.connector.put, payload), "get": partial(channel.connector.get, payload.key)}
    for timeout in SENSELESS_TIMES:
        for name, call in calls.items():
            require_error(InvalidArgumentError, partial(call, timeout=timeout), f"{name} with timeout={timeout!r}")


@checks(CHECKS, "C19", "hints that it does not know are ignored", fix="take hints by name, and only those you know")
def _hints(channel: Channel) -> None:
    channel.put(channel.payload(), hints={"something_unheard_of": "7"})


@checks(CHECKS, "C18", "an invalid ttl is refused", fix="call psk.connectors.check_ttl")
def _ttl(channel: Channel) -> None:
    with suppress(NotImplementedError):  # of which CapabilityError is one: then no ttl is kept at all
        require_error(InvalidArgumentError, lambda: channel.put(channel.payload(), ttl=-1), "ttl=-1")


@checks(CHECKS, "C35", "config is flat, plain, and names the scheme", fix="give text, numbers and booleans only")
def _config(channel: Channel) -> None:
    config = channel.connector.config()
    require(isinstance(config, dict) and isinstance(config.get("scheme"), str), f"config() gives {config!r:.200}")
    odd = [name for name, value in config.items() if not isinstance(value, str | int | float | bool)]
    require(not odd, f"{', '.join(odd)} is not plain")


@checks(CHECKS, "C36", "from_config and its URI open the same channel", fix="put all that says where into config()")
def _same_channel(channel: Channel) -> None:
    payload = channel.payload()
    key = channel.put(payload)
    config = channel.connector.config()
    _expect_object(type(channel.connector).from_config(config), key, payload.tobytes(), "from_config(config())")
    _expect_object(open_connector(format_uri(config)), key, payload.tobytes(), format_uri(config))


@checks(CHECKS, "C36", "an unknown option is refused", fix="read options with psk.connectors.read_options")
def _unknown_option(channel: Channel) -> None:
    config = {**channel.connector.config(), "unheard_of": "7"}

    def open_it() -> None:
        type(channel.connector).from_config(config).close()

    require_error(ConnectorConfigError, open_it, "the option unheard_of=7")


@checks(CHECKS, "C37", "pickling it pickles its configuration", fix="define __reduce__ with from_config and config()")
def _reduced(channel: Channel) -> None:
    with closing(copy(channel.connector)) as other:
        require(other.config() == channel.connector.config(), "a copy has another configuration")


@checks(CHECKS, "C34", "close deletes nothing and may be repeated", fix="release only what this instance opened")
def _closing(channel: Channel) -> None:
    payload = channel.payload()
    other: Any = type(channel.connector).from_config(channel.connector.config())
    key = other.put(payload, timeout=channel.timeout)
    other.close()
    other.close()
    require(channel.get(key) == payload.tobytes(), "the object went with the instance that put it")


@checks(CHECKS, "C10", "calls after close raise ConnectorClosedError", fix="check it first in every method")
def _closed(channel: Channel) -> None:
    other: Any = type(channel.connector).from_config(channel.connector.config())
    other.close()
    payload = channel.payload()
    require_error(ConnectorClosedError, lambda: other.put(payload), "put after close")
    require_error(ConnectorClosedError, lambda: other.get(payload.key), "get after close")


@checks(CHECKS, "C32", "durabilities are of the known ones", fix=f"return a tuple of {', '.join(DURABILITIES)}")
def _durabilities(channel: Channel) -> None:
    promised = channel.connector.durabilities
    require(promised and set(promised) <= set(DURABILITIES), f"it promises {promised!r:.100}")


@checks(CHECKS, "C33", "leaves_host is True or False", fix="set it on the class: True if other hosts may see the bytes")
def _leaves_host(channel: Channel) -> None:
    require(isinstance(channel.connector.leaves_host, bool), f"it is {channel.connector.leaves_host!r:.100}")


def _expect_object(other: Any, key: str, expected: bytes, opened_by: str) -> None:
    with closing(other):
        frames = other.get(key)
        require(
            frames is not None and bytes_of(frames) == expected, f"opened by {opened_by} it does not find the object"
        )

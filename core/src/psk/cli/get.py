"""What does a channel hold under a key? Its bytes, which are decoded only on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli import exits
from psk.cli.channel import add_channel, missing, open_store
from psk.cli.output import answer, plain, report
from psk.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from psk.store import Store
    from psk.wire import Frames, Payload

SUMMARY = "Get an object's bytes, as they are."
EXAMPLE = """
key=$(psk put "file://$PWD/objects" note.txt)
psk get "file://$PWD/objects" "$key"
"""
DETAILS = """
Without options: its frames, checked but not decoded; of a file that `psk put` put, the file. Nothing that stands in
them is run. PSK_SIGNING=required refuses what is not signed, and PSK_CODECS=raw decodes no pickle.
The exit code is 1 if there is no such object.
"""
_NOTHING = object()


def add_arguments(parser: ArgumentParser) -> None:
    """Take channel, key, and what to do with the bytes."""
    parser.description = f"{SUMMARY}\n{DETAILS}"
    add_channel(parser)
    parser.add_argument("key", metavar="KEY", help="what `psk put` printed")
    parser.add_argument("-o", "--output", metavar="FILE", help="write them to FILE, whole or not at all; - for stdout")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--payload", action="store_true", help="the whole payload, header included, even if damaged")
    shape.add_argument(
        "--decode",
        action="store_true",
        help="decode it and print its repr. UNPICKLING RUNS CODE that is in the object: trust whoever put it",
    )


def run(arguments: Namespace) -> int:
    """Get it."""
    if arguments.decode and arguments.output:
        raise UsageError("--decode prints the object, and writes no file", remedy="omit --output")
    from psk.store import get_policy

    # A command has no other place in which its user could set rules.
    policy = get_policy()
    with open_store(arguments.uri, signing=policy.signing, codecs=policy.codecs) as store:
        done = _decode(store, arguments) if arguments.decode else _copy(store, arguments)
    if not done:
        report(missing(arguments.uri, arguments.key), as_json=arguments.json)
    return exits.DONE if done else exits.NO


def _decode(store: Store, arguments: Namespace) -> bool:
    found = store.get(arguments.key, default=_NOTHING, timeout=arguments.timeout)
    if found is _NOTHING:
        return False
    shown, kind = repr(found), type(found)
    document = {"key": arguments.key, "type": f"{kind.__module__}.{kind.__qualname__}", "repr": shown}
    answer(arguments, document, map(plain, shown.split("\n")))
    return True


def _copy(store: Store, arguments: Namespace) -> bool:
    from psk.cli.destination import write_to
    from psk.store.checking import Checker
    from psk.wire import Payload

    frames = store.connector.get(arguments.key, timeout=arguments.timeout)
    if frames is None:
        return False
    document: dict[str, Any] = {"key": arguments.key, "file": arguments.output}
    if arguments.payload:
        parts = _whole(frames)
    else:
        payload = Payload.parse(frames)
        Checker(store.config()).check(arguments.key, payload)
        parts = payload.frame_views()
        document |= _described(payload)
    document["nbytes"] = sum(part.nbytes for part in parts)
    if not arguments.json:
        write_to(arguments.output, parts)
        return True
    if arguments.output not in {None, "-"}:
        write_to(arguments.output, parts)
    else:
        from base64 import b64encode

        document |= {"file": None, "base64": b64encode(b"".join(parts)).decode()}
    answer(arguments, document, ())
    return True


def _whole(frames: Frames) -> Sequence[memoryview]:
    """Give a payload as it would lie in one buffer; only what is in several can be damaged beyond that."""
    from psk.wire import Payload

    buffers = frames.buffers if len(frames.buffers) == 1 else Payload.parse(frames).buffers()
    return [memoryview(buffer).cast("B") for buffer in buffers]


def _described(payload: Payload) -> dict[str, Any]:
    return {"codec": payload.codec, "frames": list(payload.frame_sizes), "signed_by": payload.signed_by or None}

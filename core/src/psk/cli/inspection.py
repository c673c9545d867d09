"""`psk inspect`: the contents of a payload, or of a pickle with proxies, without unpickling anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli.channel import described, read_content
from psk.cli.output import Exit, answer, bytes_text, fact_lines, plain, table, without_secrets
from psk.cli.pickle_reader import PROTOCOL, DamagedPickleError, PickleReader
from psk.errors import InvalidReferenceError, PayloadError, SignatureError, SigningError, SigningKeyMissingError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterable, Iterator

    from psk.wire import SigningKey

SHOWN = 20
"""The number of frames, names and references that are shown; the JSON document has all of them."""
PICKLED = frozenset({"pickle", "cloudpickle"})
REFERENCE_FIELDS = ("key", "nbytes", "checksum", "hash", "evict", "wait", "timeout", "provider", "signed_by")


class Inspect:
    """Show the contents of a payload, or of a pickle with proxies, without unpickling it.

    The exit code is 1 if it is neither, or damaged or forged.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file."""
        parser.add_argument("file", metavar="FILE", help="a file with a payload or a pickle; - for standard input")

    def run(self, arguments: Namespace) -> int:
        """Read and describe it."""
        from psk.wire import MAGIC

        content = read_content(arguments.file)
        problems: list[str] = []
        document: dict[str, Any] = {"file": arguments.file, "kind": "unknown", "problems": problems}
        if bytes(content[: len(MAGIC)]) == MAGIC:
            document |= {"kind": "payload", "payload": describe_payload(content, problems)}
        else:
            pickle = describe_pickle(content, problems)
            if bytes(content[:1]) == PROTOCOL or pickle["pickles"]:
                document |= {"kind": "pickle", "pickle": pickle}
            else:
                problems[:] = [f"{content.nbytes:,} bytes that are neither a payload of psk nor a pickle"]
        answer(arguments, document, _lines(document))
        return Exit.NO if problems else Exit.DONE


def describe_payload(view: memoryview, problems: list[str]) -> dict[str, Any]:
    """Describe the payload at the start of a buffer up to what is wrong with it, which is added to the problems."""
    from psk.connectors.shm import may_be_file_of
    from psk.store import ObjectStat
    from psk.wire import Header, Payload

    document: dict[str, Any] = {"given": view.nbytes}
    try:
        header = Header.read(view)
        document |= described(ObjectStat(header.key, header))
        document["checksum"] = None if header.checksum is None else "not confirmed"
        payload = Payload.parse(view[: header.nbytes] if may_be_file_of(header.nbytes, view.nbytes) else view)
        payload.verify()
        document["checksum"] = None if header.checksum is None else "correct"
    except PayloadError as error:
        problems.append(str(error))
        return document
    what = f"payload {payload.key}"
    document["signature"] = check_signature(what, payload.signed_by, payload.verify_signature, problems)
    if payload.codec in PICKLED and payload.frame_sizes:
        document["pickle"] = describe_pickle(payload.frame_views()[0], problems)
    return document


def describe_pickle(view: memoryview, problems: list[str]) -> dict[str, Any]:
    """Describe the pickles in a buffer, one or several in sequence, and add what is wrong to the problems."""
    reader = PickleReader(view)
    try:
        reader.follow()
    except DamagedPickleError as error:
        problems.append(f"the pickle cannot be read from its byte {reader.at:,} on: {error}")
    return {
        "nbytes": view.nbytes,
        "protocol": reader.protocol,
        "pickles": reader.pickles,
        "imports": reader.imports,
        "references": [describe_reference(uri, body, problems) for uri, body in reader.references],
    }


def describe_reference(uri: Any, body: Any, problems: list[str]) -> dict[str, Any]:
    """Describe a reference by its URI and body, and add what is wrong with it to the problems."""
    from psk.wire import Reference, type_name

    try:
        reference = Reference.from_bytes(uri, body)
    except InvalidReferenceError as error:
        problems.append(str(error))
        return {"valid": False}
    what = f"the reference to {reference.key}"
    return {
        "uri": reference.shown_uri,
        **{name: getattr(reference, name) for name in REFERENCE_FIELDS},
        "type": type_name(reference.type_code) or None,
        "valid": True,
        "signature": check_signature(what, reference.signed_by, reference.verify, problems),
    }


def check_signature(what: str, name: str, verify: Callable[[SigningKey], None], problems: list[str]) -> str | None:
    """Check a signature if its key is known here: "valid", "wrong" or "not checked"; None without signature."""
    from psk.wire import find_signing_key

    if not name:
        return None
    try:
        verify(find_signing_key(name))
    except SignatureError:
        problems.append(f"{what} does not carry a valid signature of key {name!r}: forged, changed, or another key")
        return "wrong"
    except SigningError as error:
        if not isinstance(error, SigningKeyMissingError):
            problems.append(str(error))
        return "not checked"
    return "valid"


def _lines(document: dict[str, Any]) -> Iterator[str]:
    payload = document.get("payload", {})
    if "key" in payload:
        yield "payload"
        yield from (f"  {line}" for line in fact_lines(_payload_facts(payload)))
    pickle = document.get("pickle") or payload.get("pickle")
    if pickle:
        yield from _pickle_lines(pickle)
    yield from _first(f"problem: {plain(without_secrets(problem))}" for problem in document["problems"])


def _payload_facts(payload: dict[str, Any]) -> dict[str, object]:
    return {
        "key": payload["key"],
        "codec": payload["codec"],
        "size": f"{payload['nbytes']:,} of {payload['given']:,} bytes",
        "frames": list(_first(map(bytes_text, payload["frames"]))),
        "checksum": payload["checksum"] or "none",
        "signature": f"by key {payload['signed_by']!r}, {payload.get('signature')}" if payload["signed_by"] else "none",
        "revision": payload["revision"],
        "expires": "yes" if payload["expires"] else "no",
    }


def _pickle_lines(pickle: dict[str, Any]) -> Iterator[str]:
    several = f", {pickle['pickles']} one after the other" if pickle["pickles"] > 1 else ""
    yield f"pickle, protocol {pickle['protocol'] or '0 or 1'}, {bytes_text(pickle['nbytes'])}{several}"
    yield "  unpickling imports" if pickle["imports"] else "  unpickling imports nothing"
    yield from _first(f"    {plain(name)}" for name in pickle["imports"])
    references = [it for it in pickle["references"] if it["valid"]]
    if references:
        yield f"  {len(references)} reference{'s' * (len(references) > 1)} of psk"
        columns = ("uri", "key", "type", "size", "signed by", "flags")
        lines = table(columns, map(_reference_row, references), right=[3]).splitlines()
        yield f"    {lines[0]}"
        yield from _first(f"    {line}" for line in lines[1:])


def _reference_row(reference: dict[str, Any]) -> tuple[object, ...]:
    signer = f"{reference['signed_by']} ({reference['signature']})" if reference["signed_by"] else None
    flags = " ".join(it for it in ("evict", "wait") if reference[it]) or None
    size = None if reference["nbytes"] is None else bytes_text(reference["nbytes"])
    return reference["uri"], reference["key"], reference["type"], size, signer, flags


def _first(items: Iterable[str]) -> Iterator[str]:
    """Yield the first few items, and how many there are besides."""
    listed = list(items)
    yield from listed[:SHOWN]
    if len(listed) > SHOWN:
        yield f"    ... and {len(listed) - SHOWN:,} more: see --json"

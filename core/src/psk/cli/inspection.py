"""`psk inspect`: the contents of a payload, or of a pickle with proxies, without unpickling anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli.channel import read_content
from psk.cli.output import Exit, answer, bytes_text, plain, table, without_secrets

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable, Iterator

    from psk.wire import SigningKey

SHOWN = 20
"""The number of frames, names and references that are shown; the JSON document has all of them."""
LONGEST_SHOWN = 200
PICKLED = frozenset({"pickle", "cloudpickle"})


class Inspect:
    """The command `psk inspect`."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the file."""
        parser.description = f"{parser.description}\nThe exit code is 1 if it is neither, or damaged or forged."
        parser.add_argument("file", metavar="FILE", help="a file with a payload or a pickle; - for standard input")

    def run(self, arguments: Namespace) -> int:
        """Read and describe it."""
        from psk.cli.pickle_reader import PROTOCOL
        from psk.wire import MAGIC

        content = read_content(arguments.file)
        problems: list[str] = []
        document: dict[str, Any] = {"file": arguments.file, "kind": "unknown", "problems": problems}
        if bytes(content[: len(MAGIC)]) == MAGIC:
            document |= {"kind": "payload", "payload": describe_payload(content, problems)}
        else:
            found: list[str] = []
            pickle = describe_pickle(content, found)
            if bytes(content[:1]) == PROTOCOL or pickle["pickles"]:
                document |= {"kind": "pickle", "pickle": pickle}
                problems += found
            else:
                problems.append(f"{content.nbytes:,} bytes that are neither a payload of psk nor a pickle")
        answer(arguments, document, _lines(document))
        return Exit.NO if problems else Exit.DONE


def _lines(document: dict[str, Any]) -> Iterator[str]:
    if document["kind"] == "payload":
        yield from _payload_lines(document["payload"])
    elif document["kind"] == "pickle":
        yield from _pickle_lines(document["pickle"], "pickle")
    for problem in document["problems"][:SHOWN]:
        yield f"problem: {plain(without_secrets(problem))}"
    yield from _others(document["problems"], "problems")


def _payload_lines(payload: dict[str, Any]) -> Iterator[str]:
    if "key" not in payload:
        return
    sizes = payload["frames"]
    signature = f"by key {payload['signed_by']!r}, {payload.get('signature')}" if payload["signed_by"] else "none"
    facts = {
        "key": payload["key"],
        "codec": payload["codec"],
        "size": _exact(payload["nbytes"]) + (f" of {payload['given']:,}" * (payload["given"] != payload["nbytes"])),
        "frames": ", ".join(map(bytes_text, sizes[:SHOWN])) + (f", {len(sizes) - SHOWN} more" * (len(sizes) > SHOWN)),
        "checksum": payload["checksum"] or "none",
        "signature": signature,
        "revision": payload["revision"],
        "expires": "yes" if payload["expires"] else "no",
    }
    yield f"payload, format {payload['format']}"
    for name, value in facts.items():
        yield f"  {name:<10}{plain(str(value))}"
    if "pickle" in payload:
        yield from _pickle_lines(payload["pickle"], "pickle in its first frame")


def _pickle_lines(pickle: dict[str, Any], title: str) -> Iterator[str]:
    several = f", {pickle['pickles']} one after the other" if pickle["pickles"] > 1 else ""
    yield f"{title}, protocol {pickle['protocol'] or '0 or 1'}, {_exact(pickle['nbytes'])}{several}"
    imports = pickle["imports"]
    yield "  unpickling imports" if imports else "  unpickling imports nothing"
    for name, count in list(imports.items())[:SHOWN]:
        yield f"    {plain(name)}" + (f"  ({count} times)" if count > 1 else "")
    yield from _others(imports, "names")
    references = [it for it in pickle["references"] if it["valid"]]
    if references:
        yield f"  {len(references)} reference{'s' * (len(references) > 1)} of psk"
        columns = ("uri", "key", "type", "size", "signed by", "flags")
        rows = [_reference_row(it) for it in references[:SHOWN]]
        yield from (f"    {line}" for line in table(columns, rows, right=[3]).splitlines())
        yield from _others(references, "references")


def _reference_row(reference: dict[str, Any]) -> tuple[object, ...]:
    signer = f"{reference['signed_by']} ({reference['signature']})" if reference["signed_by"] else None
    flags = " ".join(it for it in ("evict", "wait") if reference[it]) or None
    size = None if reference["nbytes"] is None else bytes_text(reference["nbytes"])
    return reference["uri"], reference["key"], reference["type"], size, signer, flags


def _others(items: Any, what: str) -> Iterator[str]:
    if len(items) > SHOWN:
        yield f"    ... and {len(items) - SHOWN:,} more {what}: see --json"


def _exact(nbytes: int) -> str:
    return bytes_text(nbytes) if nbytes < 1000 else f"{bytes_text(nbytes)} ({nbytes:,} bytes)"  # noqa: PLR2004


def describe_payload(view: memoryview, problems: list[str]) -> dict[str, object]:
    """Describe the payload at the start of a buffer, and add what is wrong with it to the problems."""
    from psk.connectors.shm import may_be_file_of
    from psk.errors import PayloadError
    from psk.wire import Header, Payload
    from psk.wire.header import VERSION

    try:
        header = Header.read(view)
    except PayloadError as error:
        problems.append(str(error))
        return {"given": view.nbytes}
    document: dict[str, object] = {
        "format": VERSION,
        "key": header.key,
        "codec": header.codec,
        "nbytes": header.nbytes,
        "given": view.nbytes,
        "frames": list(header.frame_sizes),
        "revision": header.revision,
        "expires": header.expires,
        "checksum": None if header.checksum is None else "not checked",
        "signed_by": header.signed_by or None,
    }
    whole = view[: header.nbytes] if may_be_file_of(header.nbytes, view.nbytes) else view
    try:
        payload = Payload.parse(whole)
    except PayloadError as error:
        problems.append(str(error))
        return document
    try:
        payload.verify()
        document["checksum"] = None if payload.checksum is None else "correct"
    except PayloadError as error:
        problems.append(str(error))
        document["checksum"] = "wrong"
    if payload.signed_by:
        document["signature"] = check_signature(
            f"payload {payload.key}", payload.signed_by, payload.verify_signature, problems
        )
    if payload.codec in PICKLED and payload.frame_sizes:
        document["pickle"] = describe_pickle(payload.frame_views()[0], problems, place=" in its first frame")
    return document


def describe_pickle(view: memoryview, problems: list[str], *, place: str = "") -> dict[str, object]:
    """Describe the pickles in a buffer, one or several in sequence.

    Args:
        view: The bytes.
        problems: A sentence is added for each thing that is wrong.
        place: Where the pickle is, for these sentences.
    """
    from psk.cli.pickle_reader import Cursor, DamagedPickleError, Machine

    machine, cursor, pickles = Machine(), Cursor(view), 0
    try:
        while cursor.left:
            machine.run(cursor)
            pickles += 1
    except DamagedPickleError as error:
        problems.append(f"the pickle{place} cannot be read from its byte {cursor.at:,} on: {error}")
    references = [describe_reference(uri, body, problems) for uri, body in machine.references]
    return {
        "nbytes": view.nbytes,
        "protocol": machine.protocol,
        "pickles": pickles,
        "read": cursor.at,
        "imports": machine.imports,
        "out_of_band_buffers": machine.buffers,
        "persistent_ids": machine.persistent,
        "references": references,
    }


def describe_reference(uri: Any, body: Any, problems: list[str]) -> dict[str, object]:
    """Describe a reference by its URI and body, and add what is wrong with it to the problems."""
    from psk.credentials import masked_uri
    from psk.errors import InvalidReferenceError
    from psk.wire import Reference, type_name

    try:
        reference = Reference.from_bytes(uri, body)
    except InvalidReferenceError as error:
        problems.append(str(error))
        return {"uri": masked_uri(uri[:LONGEST_SHOWN]) if isinstance(uri, str) else None, "valid": False}
    document: dict[str, object] = {
        "uri": reference.shown_uri,
        "key": reference.key,
        "type": type_name(reference.type_code) or None,
        "nbytes": reference.nbytes,
        "checksum": reference.checksum,
        "hash": reference.hash,
        "evict": reference.evict,
        "wait": reference.wait,
        "timeout": reference.timeout,
        "provider": reference.provider or None,
        "signed_by": reference.signed_by or None,
        "valid": True,
    }
    if reference.signed_by:
        document["signature"] = check_signature(
            f"the reference to {reference.key}", reference.signed_by, reference.verify, problems
        )
    return document


def check_signature(what: str, name: str, verify: Callable[[SigningKey], None], problems: list[str]) -> str:
    """Check a signature if its key is known here: "valid", "wrong" or "not checked"."""
    from psk.errors import SignatureError, SigningError, SigningKeyMissingError
    from psk.wire import find_signing_key

    try:
        verify(find_signing_key(name))
    except SignatureError:
        problems.append(f"{what} does not carry a valid signature of key {name!r}: forged, changed, or another key")
        return "wrong"
    except SigningKeyMissingError:
        return "not checked"
    except SigningError as error:
        problems.append(str(error))
        return "not checked"
    return "valid"

"""What does a file hold that came from psk? Said without unpickling anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli import exits
from psk.cli.output import answer, plain, table, without_secrets
from psk.cli.quantities import bytes_text

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

SUMMARY = "Say what a payload or a pickle with proxies contains, without unpickling it."
EXAMPLE = """
key=$(psk put "file://$PWD/objects" note.txt)
psk inspect "objects/$key"
"""
SHOWN = 20
"""How many frames, names and references people are shown; the JSON document has them all."""


def add_arguments(parser: ArgumentParser) -> None:
    """Take the file."""
    parser.description = f"{SUMMARY}\nThe exit code is 1 if it is neither, or something is wrong with it."
    parser.add_argument("file", metavar="FILE", help="a file with a payload or a pickle; - for standard input")


def run(arguments: Namespace) -> int:
    """Read it and tell."""
    from psk.cli.inspection.content import read_content
    from psk.cli.inspection.payloads import describe_payload
    from psk.cli.inspection.pickles import PROTOCOL, describe_pickle
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
    return exits.NO if problems else exits.DONE


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

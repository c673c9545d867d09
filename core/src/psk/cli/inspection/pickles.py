"""What is in a pickle? Names that unpickling would import, and references of psk."""

from __future__ import annotations

from psk.cli.inspection.cursor import Cursor, DamagedPickleError
from psk.cli.inspection.machine import Machine
from psk.cli.inspection.references import describe_reference

PROTOCOL = b"\x80"
"""How pickles of protocol 2 and later begin."""


def describe_pickle(view: memoryview, problems: list[str], *, place: str = "") -> dict[str, object]:
    """Describe what lies in a buffer: one pickle or several, one after the other.

    Args:
        view: The bytes.
        problems: Gets a sentence for each thing that is wrong.
        place: Where the pickle is, for these sentences.
    """
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

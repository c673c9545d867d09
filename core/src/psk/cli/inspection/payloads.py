"""What does a payload say of itself, and is it whole?"""

from __future__ import annotations

from psk.cli.inspection.pickles import describe_pickle
from psk.cli.inspection.references import check_signature
from psk.connectors.file.expiry import RECORD_BYTES, record_offset
from psk.connectors.shm.expiry import needs_segment
from psk.connectors.shm.segment import whole_pages
from psk.errors import PayloadError
from psk.wire import Header, Payload
from psk.wire.header import VERSION

PICKLED = frozenset({"pickle", "cloudpickle"})
PAGE_BYTES = 4096
"""Whole pages hold a large object in shared memory, at most twice what it needs: the rest means nothing."""


def describe_payload(view: memoryview, problems: list[str]) -> dict[str, object]:
    """Describe the payload at a buffer's start; whatever is wrong with it is a problem."""
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
    whole = view[: header.nbytes] if _is_kept_in(view, header.nbytes) else view
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


def _is_kept_in(view: memoryview, nbytes: int) -> bool:
    """Tell whether this is how a connector keeps a payload of `nbytes` bytes: with its expiry, or in whole pages."""
    if view.nbytes == record_offset(nbytes) + RECORD_BYTES:
        return True
    in_pages = needs_segment(nbytes) and view.nbytes % PAGE_BYTES in {0, RECORD_BYTES}
    return in_pages and nbytes <= view.nbytes <= 2 * whole_pages(nbytes)

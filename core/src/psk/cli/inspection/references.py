"""What does a reference say, and who signed it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.errors import InvalidReferenceError, SignatureError, SigningError, SigningKeyMissingError
from psk.masking import masked_uri
from psk.wire import Reference, find_signing_key, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.wire import SigningKey


def describe_reference(uri: Any, body: Any, problems: list[str]) -> dict[str, object]:
    """Describe a reference that was found as URI and body; whatever is wrong with it is a problem."""
    try:
        reference = Reference.from_bytes(uri, body)
    except InvalidReferenceError as error:
        problems.append(str(error))
        return {"uri": masked_uri(uri[:_LONGEST_SHOWN]) if isinstance(uri, str) else None, "valid": False}
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


_LONGEST_SHOWN = 200

"""Explain why an object cannot be encoded or decoded, and name the part of it that cannot be pickled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from psk.errors import PayloadError, SerializationError
from psk.wire.pickling import encode_pickle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Each try pickles a part again, so the search is bounded.
_MAXIMUM_TRIES = 200
_MAXIMUM_DEPTH = 12
_MAXIMUM_TEXT = 200


def explain_encoding(obj: object, codec: str, error: Exception, second: Exception | None = None) -> SerializationError:
    """Return the error that says why an object cannot be encoded, where, and what to do about it.

    Args:
        obj: The object that was to be encoded.
        codec: Name of the codec that failed.
        error: What the codec raised.
        second: What cloudpickle raised, if it was asked as well.
    """
    path, part = "", obj
    if codec.endswith("pickle"):
        path, part = find_culprit(obj)
    what = f"an object of type {_type_name(obj)} cannot be encoded by codec {codec!r}"
    if path:
        what += f", because of obj{path}, of type {_type_name(part)}"
    what += f": {type(error).__name__}: {short_text(error)}"
    if not codec.endswith("pickle"):
        remedy = "omit the codec, or use one made for this type"
    elif second is None or isinstance(second, SerializationError):
        remedy = "leave that part out, make it picklable, or pip install cloudpickle for functions and classes"
    else:
        what += f"; cloudpickle: {short_text(second)}"
        remedy = "leave that part out or give its class a __reduce__ method"
    return SerializationError(what, remedy=remedy)


def explain_decoding(key: str, codec: str, frames: Sequence[memoryview], error: Exception) -> PayloadError:
    """Return the error that says why a payload cannot be decoded, and what to do about it.

    Args:
        key: The payload's key.
        codec: Name of the codec that failed.
        frames: What it was given.
        error: What it raised.
    """
    what = f"codec {codec!r} cannot decode {key}: {type(error).__name__}: {short_text(error)}"
    if codec == "pickle" and isinstance(error, AttributeError) and re.search(rb"\b__main__\b", frames[0]):
        return PayloadError(
            f"{what}; the program that put it defined it in __main__",
            remedy='move the definition to a module that this process can import, or put with serializer="cloudpickle"',
        )
    return PayloadError(
        what, remedy="its classes must be importable here, in versions that can read each other's pickles"
    )


def find_culprit(obj: object) -> tuple[str, object]:
    """Return where in an object lies the innermost part that cannot be pickled, and that part.

    Returns:
        An expression to be put behind the object's name, such as `['model'].callback`, and the part; an empty
        expression and the object itself if nothing inside it is to blame.
    """
    path, part = "", obj
    tries = 0
    try:
        for _ in range(_MAXIMUM_DEPTH):
            for step, child in _children(part):
                tries += 1
                if tries > _MAXIMUM_TRIES:
                    return path, part
                if not _can_pickle(child):
                    path, part = path + step, child
                    break
            else:
                break
    except Exception:  # noqa: BLE001, S110  # odd objects must not hide the error that is being explained
        pass
    return path, part


def _children(part: Any) -> Iterator[tuple[str, object]]:
    kind = type(part)  # rather than isinstance, which would resolve a proxy
    if issubclass(kind, dict):
        for key, value in part.items():
            yield f"[{short_text(repr(key))}]", value
    elif issubclass(kind, list | tuple):
        for index, value in enumerate(part):
            yield f"[{index}]", value
    elif not issubclass(kind, type):
        try:
            attributes = object.__getattribute__(part, "__dict__")
        except AttributeError:
            return
        for name, value in attributes.items():
            yield f".{name}", value


def _can_pickle(part: object) -> bool:
    try:
        encode_pickle(part)
    except Exception:  # noqa: BLE001  # an object's own methods raise anything
        return False
    return True


def _type_name(obj: object) -> str:
    kind = type(obj)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def short_text(subject: object) -> str:
    """Return an object's text on one line and not too long, whatever its `__str__` does."""
    try:
        text = " ".join(str(subject).split())
    except Exception:  # noqa: BLE001  # an error's own methods raise anything
        return f"<{type(subject).__qualname__} without text>"
    return text if len(text) <= _MAXIMUM_TEXT else text[: _MAXIMUM_TEXT - 3] + "..."

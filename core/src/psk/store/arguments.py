"""Checks of what callers hand to stores, made before anything is encoded or stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from psk.connectors import shown
from psk.errors import InvalidArgumentError, StoreConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


def check_coder(option: str, value: object) -> None:
    """Make sure that a serializer or deserializer is None, text that names a codec, or a callable.

    Raises:
        StoreConfigError: It is something else.
    """
    if value is not None and not isinstance(value, str) and not callable(value):
        raise StoreConfigError(
            f"{option}={shown(value)} is not possible", remedy="give the name of a registered codec, or a callable"
        )


def check_lifetime(lifetime: Any) -> None:
    """Make sure that objects can be attached to a lifetime, or that it is None.

    Raises:
        StoreConfigError: They cannot.
    """
    if lifetime is not None and not callable(getattr(lifetime, "add_key", None)):
        raise StoreConfigError(
            f"lifetime={shown(lifetime)} is not possible", remedy="give a lifetime of psk_patterns, or None"
        )


def check_kind(what: str, value: object, kind: type, remedy: str) -> None:
    """Make sure that an argument is an instance of a class.

    Raises:
        StoreConfigError: It is something else.
    """
    if not isinstance(value, kind):
        raise StoreConfigError(f"{shown(value)} is not {what}", remedy=remedy)


def several(name: str, values: Iterable[T]) -> list[T]:
    """Return the values of an argument that stands for several.

    Raises:
        InvalidArgumentError: It cannot be iterated over.
    """
    try:
        iterator = iter(values)
    except TypeError as error:
        raise InvalidArgumentError(f"{name}={shown(values)} is not possible", remedy="give a list") from error
    return list(iterator)

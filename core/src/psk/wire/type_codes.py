"""Number the types that references name, so that a reference names nothing that could be imported."""

from __future__ import annotations

import sys

# References contain these numbers: append to the tables and never renumber. Unknown numbers mean "unknown".
_BUILTINS: dict[int, type] = {
    1: int,
    2: float,
    3: complex,
    4: str,
    5: bytes,
    6: bytearray,
    7: list,
    8: tuple,
    9: dict,
    10: set,
    11: frozenset,
    12: range,
    13: memoryview,
    14: slice,
}
_ELSEWHERE: dict[int, tuple[str, str]] = {
    64: ("numpy", "ndarray"),
    65: ("pandas", "DataFrame"),
    66: ("pandas", "Series"),
    67: ("pyarrow", "Table"),
    68: ("pyarrow", "RecordBatch"),
    69: ("torch", "Tensor"),
    70: ("polars", "DataFrame"),
    71: ("polars", "Series"),
    72: ("numpy.ma", "MaskedArray"),
    73: ("array", "array"),
    74: ("collections", "deque"),
    75: ("collections", "OrderedDict"),
    76: ("collections", "defaultdict"),
    77: ("collections", "Counter"),
    78: ("scipy.sparse", "csr_matrix"),
    79: ("scipy.sparse", "csr_array"),
    80: ("xarray", "DataArray"),
    81: ("xarray", "Dataset"),
}
_code_of_builtin = {kind: code for code, kind in _BUILTINS.items()}
_codes_of_name: dict[str, list[int]] = {}
for _code, (_module, _name) in _ELSEWHERE.items():
    _codes_of_name.setdefault(_name, []).append(_code)

UNKNOWN = 0
_name_of_type = type.__dict__["__name__"].__get__


def code_of(kind: type) -> int:
    """Return the number of a type in references, 0 if it has none; subclasses have none."""
    try:
        code = _code_of_builtin.get(kind, UNKNOWN)
    except TypeError:  # a metaclass may make its classes unhashable
        return UNKNOWN
    if code:
        return code
    for candidate in _codes_of_name.get(_name_of_type(kind), ()):
        if type_of(candidate) is kind:
            return candidate
    return UNKNOWN


def type_of(code: int) -> type | None:
    """Return the type with a number, None if it is unknown or its module is not imported here."""
    kind = _BUILTINS.get(code)
    if kind is not None or code not in _ELSEWHERE:
        return kind
    module_name, name = _ELSEWHERE[code]
    module = sys.modules.get(module_name)
    # Looked up in the dictionary: a module's __getattr__ could import something.
    found = getattr(module, "__dict__", {}).get(name)
    return found if isinstance(found, type) else None


def is_builtin_code(code: int) -> bool:
    """Tell whether a number is that of a type that every process has."""
    return code in _BUILTINS


def type_name(code: int) -> str:
    """Return the name of the type with a number, empty if it is unknown; nothing is imported."""
    if code in _BUILTINS:
        return _BUILTINS[code].__name__
    return ".".join(_ELSEWHERE.get(code, ()))


def portable_hash(obj: object) -> int | None:
    """Return an object's hash where every process computes the same one, else None.

    That holds for int, float and complex on 64-bit builds (Python reference, "Hashing of numeric types");
    text is salted per process, a NaN hashes by identity.
    """
    kind = type(obj)
    if kind is int:
        return hash(obj) if sys.hash_info.width == 64 else None  # noqa: PLR2004  # bits
    if (kind is float or kind is complex) and obj == obj and sys.hash_info.width == 64:  # noqa: PLR0124, PLR2004  # only a NaN differs from itself
        return hash(obj)
    return None

"""Encode the objects of numpy, pyarrow, pandas, polars and torch without copies, as plug-ins of `psk.wire`.

`psk.plugins.builtin` names each module as a plug-in names its own; a module is imported once a program has imported
its library. Pickles name the functions `rebuild_...`: they keep their names and modules.
"""

from __future__ import annotations

PROTOCOL = 5
# What is used of a buffer is copied out only if the rest is larger than this.
_SPARE_PART = 8
_SPARE_BYTES = 16 * 1024


def is_wasteful(held: int, used: int) -> bool:
    """Tell whether so little of some buffers is used that a copy of that is better than sending them whole.

    Args:
        held: Bytes in the buffers.
        used: Bytes of them that are used.
    """
    return held > used + used // _SPARE_PART + _SPARE_BYTES

"""Read and write sizes of objects, on a command line and in a table, as 512, 100k, 10MB, 1GiB."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError

DEFAULT = "1k,10k,100k,1M,10M,100M"
LARGEST = 1 << 40

_read = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([kmgt]?)(i?)b?", re.IGNORECASE).fullmatch
_POWERS = ("", "k", "m", "g", "t")
_DECIMAL = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "B"))
_BINARY = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def read_sizes(text: str) -> list[int]:
    """Read a list as `1k,2.5M,1GiB`: powers of ten, or of two with an i.

    Raises:
        ArgumentTypeError: Something in it is not a size.
    """
    return sorted({_read_size(word.strip()) for word in text.split(",")})


def size_text(nbytes: int) -> str:
    """Write a size in as few digits as say it, as in `2.5 MB` or `1 MiB`."""
    whole, unit = next((it for it in _DECIMAL if nbytes >= it[0]), _DECIMAL[-1])
    if nbytes * 1000 % whole:  # more digits than there is room for
        for power, name in _BINARY:
            if nbytes % power == 0:
                return f"{nbytes // power} {name}"
    return f"{nbytes / whole:.4g} {unit}"


def _read_size(word: str) -> int:
    found = _read(word)
    nbytes = 0
    if found is not None:
        number, prefix, binary = found.groups()
        nbytes = int(float(number) * (1024 if binary else 1000) ** _POWERS.index(prefix.lower()))
    if not 0 < nbytes <= LARGEST:
        message = f"{word!r:.80} is not a size; write 512, 100k, 10MB or 1GiB, up to 1TiB"
        raise ArgumentTypeError(message)
    return nbytes

"""Find the installed distributions whose entry points could be psk's.

The folders on `sys.path` are read directly, because importlib.metadata takes longer to import than all of psk. It is
used only where archives are on `sys.path`.
"""

from __future__ import annotations

import errno
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from psk.errors import ShortageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Reader = Callable[[str], bytes | None]

ENTRY_POINTS = "entry_points.txt"
FOLDERS = (".dist-info", ".egg-info")


def sources(word: bytes) -> Iterator[tuple[str, bytes | OSError, Reader]]:
    """Find the distributions whose entry points mention a word, or cannot be read, in the order of `sys.path`.

    Of several installations of one distribution the first counts, as it does for imports.

    Returns:
        For each the place of its metadata for messages, the contents of its entry_points.txt or the error if it cannot
        be read, and what returns the contents of a file of the metadata, None if it does not exist.

    Raises:
        ShortageError: No descriptor is left to read the folders with.
    """
    seen: set[str] = set()
    for name, place, read in _distributions():
        if name in seen:
            continue
        seen.add(name)
        contents: bytes | OSError | None
        try:
            contents = read(ENTRY_POINTS)
        except OSError as error:
            _check_shortage(error)
            contents = error
        if isinstance(contents, OSError) or (contents is not None and word in contents):
            yield place, contents, read


def is_mentioned(word: bytes) -> bool:
    """Tell whether any entry points mention a word, as it was when this process asked first."""
    if word not in _mentioned:
        try:
            _mentioned[word] = any(isinstance(contents, bytes) for _, contents, _ in sources(word))
        except ShortageError:
            return False  # the next call looks again
    return _mentioned[word]


_mentioned: dict[bytes, bool] = {}


def _check_shortage(error: Exception) -> None:
    # An entry that cannot be read for want of a descriptor must not count as missing.
    if getattr(error, "errno", None) in {errno.EMFILE, errno.ENFILE}:
        raise ShortageError(f"cannot search for plug-ins: {error}", remedy="raise the limit of open files") from error


def normalized(name: str) -> str:
    """Return the form of a distribution's name in which equal names are equal."""
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def _distributions() -> Iterator[tuple[str, str, Reader]]:
    """Yield the normalized name of each distribution, the place of its metadata, and the reader of files there."""
    archives = []
    for entry in sys.path:
        try:
            files = os.listdir(entry or ".")  # noqa: PTH208  pathlib would cost 10 ms at import
        except NotADirectoryError:
            archives.append(str(entry))
            continue
        except (OSError, TypeError, ValueError) as error:
            _check_shortage(error)
            continue  # imports ignore such an entry as well
        for file in files:
            # A tilde marks the rest of an unfinished uninstallation.
            if file.endswith(FOLDERS) and not file.startswith("~"):
                folder = f"{entry or '.'}/{file}"
                yield normalized(file.rpartition(".")[0].partition("-")[0]), folder, partial(_read, folder)
    if archives:
        yield from _archived(archives)


def _archived(archives: list[str]) -> Iterator[tuple[str, str, Reader]]:
    from importlib import metadata

    for distribution in metadata.distributions(path=archives):
        try:
            name = normalized(distribution.name)
            files = {it: (distribution.read_text(it) or "").encode() for it in (ENTRY_POINTS, "METADATA", "PKG-INFO")}
        except Exception:  # noqa: BLE001, S112  a damaged archive must not hide the other distributions
            continue
        yield name, f"sys.path/{name}", files.get


def _read(folder: str, file: str) -> bytes | None:
    try:
        # Do not wait for the writer of a pipe.
        descriptor = os.open(f"{folder}/{file}", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as opened:
        return opened.read()

"""Find the installed distributions whose entry points could be psk's.

The folders on `sys.path` are read directly, because importlib.metadata takes longer to import than all of psk. It is
used only for what is not a plain folder: archives, and import hooks that provide distributions of their own.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Any

from psk.errors import ShortageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ENTRY_POINTS = "entry_points.txt"
FOLDERS = (".dist-info", ".egg-info")
#: Import hooks that search the folders that have been read already.
USUAL_FINDERS = {"_frozen_importlib_external", "importlib_metadata"}


class Source:
    """The metadata of one distribution; a named tuple would take longer to create than the rest of this module.

    Attributes:
        place: Its name in messages: the folder's path.
        entry_points: The contents of its entry_points.txt, or the error if it cannot be read.
        read: Gives the contents of another file of the metadata, None if it does not exist.
    """

    __slots__ = ("entry_points", "place", "read")

    def __init__(self, place: str, entry_points: bytes | OSError, read: Callable[[str], bytes | None]) -> None:
        self.place = place
        self.entry_points = entry_points
        self.read = read


def sources(word: bytes) -> Iterator[Source]:
    """Return the distributions whose entry points mention a word, or cannot be read, in the order of `sys.path`.

    Of several installations of one distribution the first counts, as it does for imports.

    Raises:
        ShortageError: No descriptor is left to read the folders with.
    """
    seen: set[str] = set()
    elsewhere = []
    for entry in sys.path:
        try:
            names = os.listdir(entry or ".")  # noqa: PTH208  pathlib would cost 10 ms at import
        except NotADirectoryError:
            elsewhere.append(entry)
            continue
        except (OSError, TypeError, ValueError) as error:
            _check_shortage(error)
            continue  # imports ignore such an entry as well
        if "EGG-INFO" in names:
            elsewhere.append(entry)
        for name in names:
            if name.endswith(FOLDERS):
                source = _read_folder(f"{entry or '.'}/{name}", name, word, seen)
                if source is not None:
                    yield source
    for distribution in _distributions(elsewhere):
        source = _read_distribution(distribution, word, seen)
        if source is not None:
            yield source


def is_mentioned(word: bytes) -> bool:
    """Tell whether any entry points mention a word, as it was when this process asked first."""
    if word not in _mentioned:
        try:
            _mentioned[word] = any(isinstance(source.entry_points, bytes) for source in sources(word))
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


def _read_folder(folder: str, name: str, word: bytes, seen: set[str]) -> Source | None:
    distribution = normalized(name.rpartition(".")[0].partition("-")[0])
    # A tilde marks the rest of an unfinished uninstallation.
    if distribution in seen or name.startswith("~"):
        return None
    seen.add(distribution)
    contents: bytes | OSError | None
    try:
        contents = _read(f"{folder}/{ENTRY_POINTS}")
    except OSError as error:
        _check_shortage(error)
        contents = error
    if contents is None or (isinstance(contents, bytes) and word not in contents):
        return None
    return Source(folder, contents, lambda file: _read(f"{folder}/{file}"))


def _read(path: str) -> bytes | None:
    try:
        # Do not wait for the writer of a pipe.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        return file.read()


def _distributions(paths: list[str]) -> Iterator[Any]:
    """Return the distributions that only importlib.metadata finds: in archives, and those of import hooks."""
    finders: list[Any] = [finder for finder in sys.meta_path if _brings_distributions(finder)]
    if not paths and not finders:
        return
    from importlib import metadata

    context = metadata.DistributionFinder.Context()
    searches: list[Callable[[], Iterable[Any]]] = [lambda: metadata.distributions(path=paths)]
    searches += [lambda finder=finder: finder.find_distributions(context) for finder in finders]  # type: ignore[misc]
    for search in searches:
        try:
            yield from search()
        except Exception:  # noqa: BLE001, S112  a broken import hook must not hide the other distributions
            continue


def _brings_distributions(finder: object) -> bool:
    module = str(getattr(finder, "__module__", ""))
    return hasattr(finder, "find_distributions") and module.partition(".")[0] not in USUAL_FINDERS


def _read_distribution(distribution: Any, word: bytes, seen: set[str]) -> Source | None:
    def read(file: str) -> bytes | None:
        text = distribution.read_text(file)
        return None if text is None else str(text).encode()

    try:
        name = normalized(str(distribution.name))
        contents = read(ENTRY_POINTS)
    except Exception:  # noqa: BLE001  as above
        return None
    if name in seen or contents is None or word not in contents:
        return None
    seen.add(name)
    return Source(f"sys.path/{name}", contents, read)

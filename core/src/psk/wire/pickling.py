"""Encode any object as a pickle of protocol 5 whose large buffers are frames of their own.

The objects of libraries that this process has loaded are reduced as `psk.arrays` and plug-ins say.
"""

from __future__ import annotations

import copyreg
import pickle
import sys
from collections import ChainMap
from typing import TYPE_CHECKING, Any, TypeAlias

from psk.errors import SerializationError, report_ignored
from psk.plugins.builtin import REDUCERS
from psk.plugins.importing import import_target
from psk.wire.codec import Codec
from psk.wire.header import MAXIMUM_FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psk.wire.codec import Buffer, Frame

PROTOCOL = 5
# Below, a frame of its own costs more than the copy into the stream.
OUT_OF_BAND_FROM = 4096

Reducer: TypeAlias = "Callable[[Any], Any]"
"""Like `object.__reduce_ex__` of protocol 5. Pickles name the functions that it returns: they keep their names."""

_modules = sys.modules
_registered: dict[type, Any] = copyreg.dispatch_table
_targets = dict(REDUCERS)
"""By library: where the mapping from its types to their reducers is. It is imported once the library has been."""
_found: dict[str, Mapping[type, Reducer]] = {}


class Snapshot:
    """Hold the reducers for one state of this process. When the state changes, a new snapshot replaces it.

    Attributes:
        modules: How many modules were loaded; -1 if one of them was not loaded in full.
        registered: How many types were registered with copyreg.
        ours: The reducers of the libraries that were loaded.
        table: For `Pickler.dispatch_table`: `ours`, and what is registered with copyreg, which a pickler with its own
            table ignores; None if `ours` is empty.
    """

    __slots__ = ("modules", "ours", "registered", "table")

    def __init__(self) -> None:
        self.modules = len(_modules)
        self.registered = len(_registered)
        self.ours: dict[type, Reducer] = {}
        for library in list(_targets):  # a thread may add to it
            if library not in _modules:
                continue
            if is_loaded(library):
                self.ours.update(_reducers_of(library))
            else:
                self.modules = -1
        # A reducer that the user registered for one of these types is used instead of ours.
        self.table = {**self.ours, **dict.fromkeys(_registered.copy(), _as_registered)} if self.ours else None


def renew() -> Snapshot:
    """Return, and keep as `_current[0]`, a snapshot that is up to date."""
    _current[0] = snapshot = Snapshot()
    return snapshot


def add_reducers(targets: Mapping[str, str]) -> None:
    """Add what a plug-in brings: by library, `module:attribute` of a mapping from types to reducers."""
    for library, target in targets.items():
        _targets.setdefault(library, target)
    renew()


def is_loaded(library: str) -> bool:
    """Tell whether a library has been imported completely.

    While its import is in progress, the types in question may be missing, and waiting for it could deadlock.
    """
    module = _modules.get(library)
    # The flag by which an import statement itself knows whether it has to wait.
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def _reducers_of(library: str) -> Mapping[type, Reducer]:
    found = _found.get(library)
    if found is None:
        try:
            found = import_target(_targets[library])
        except (ImportError, AttributeError):
            found = {}  # a version, or another module of that name, without what is needed: pickled as usual
        except Exception:  # noqa: BLE001  # a plug-in's module raises anything, and others must be able to pickle
            found = {}
            report_ignored(_targets[library], "Exception ignored in a plug-in that reduces objects")
        _found[library] = found
    return found


def _as_registered(obj: object) -> Any:
    # Looked up again, since it may be another function by now.
    return _registered[type(obj)](obj)


_current = [Snapshot()]
"""The last snapshot. It is out of date once the number of modules or of registered types has changed."""


class Stream(list[Any]):
    """Collect what a pickler writes, in pieces, and the buffers it omits.

    A pickler passes large bytes objects to `write` as they are, so they are never copied into a stream. It passes a
    bytearray in the same way, after writing its length at that time, which `pieces` corrects.
    """

    __slots__ = ("buffers",)

    buffers: list[Frame]
    write = list.append

    def keep(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer out of the stream, or return True if it should stay in."""
        try:
            view = buffer.raw()
        except BufferError:
            return True  # not contiguous: the pickler refuses it with a clear message
        if view.nbytes < OUT_OF_BAND_FROM or len(self.buffers) == MAXIMUM_FRAMES - 1:
            return True
        self.buffers.append(view)
        return False

    def pieces(self) -> list[Buffer]:
        """Return what was written, in pieces whose lengths can no longer change.

        Code that ran after the pickler wrote the length of a bytearray (an object's own methods, another thread) may
        have resized it. Surplus bytes would be read as instructions, so the length in front of the bytearray, which is
        the last 8 bytes of the previous piece (pickle's BYTEARRAY8), is set to the one at which it is held now.
        """
        pieces: list[Buffer] = []
        for piece in self:
            if type(piece) is bytes:
                pieces.append(piece)
            elif type(piece) is bytearray:
                view = memoryview(piece)
                length = len(view).to_bytes(8, "little")
                if not pieces[-1].endswith(length):  # type: ignore[union-attr]  # always bytes, which the pickler made
                    pieces[-1] = pieces[-1][:-8] + length  # type: ignore[operator]  # as above
                pieces.append(view)
            else:  # a PickleBuffer that stays in the stream: it has held its memory since it was made
                pieces.append(piece.raw())
        return pieces


def encode_pickle(obj: object) -> Sequence[Frame]:
    """Return the pickle's stream and its out-of-band buffers.

    Raises:
        Exception: Whatever pickle or the object's own methods raise.
    """
    stream = Stream()
    buffers: list[Frame] = []
    stream.buffers = buffers
    pickler = pickle.Pickler(stream, PROTOCOL, True, stream.keep)  # by position: keywords take 100 ns
    snapshot = _current[0]
    if snapshot.modules != len(_modules) or snapshot.registered != len(_registered):
        snapshot = renew()
    if snapshot.table is not None:
        pickler.dispatch_table = snapshot.table
    pickler.dump(obj)
    if buffers or len(stream) > 1:
        return [stream.pieces(), *buffers]
    return stream


def encode_cloudpickle(obj: object) -> list[Frame]:
    """Return frames like `encode_pickle` for objects that only cloudpickle can pickle: by value.

    Raises:
        SerializationError: cloudpickle is not installed.
        Exception: Whatever cloudpickle or the object's own methods raise.
    """
    try:
        import cloudpickle  # type: ignore[import-untyped]  # has no types; optional, 30 ms
    except ImportError as error:
        raise SerializationError(
            f"the codec cloudpickle cannot encode {type(obj).__qualname__}: it is not installed",
            remedy="pip install cloudpickle",
        ) from error
    stream = Stream()
    stream.buffers = []
    pickler: Any = cloudpickle.Pickler  # two classes, of which type checkers see the wrong one
    # Its own table is an attribute of the class, where one of an instance goes unnoticed.
    table = ChainMap(renew().ours, pickler.dispatch_table)
    with_table: Any = type("Pickler", (pickler,), {"dispatch_table": table})
    with_table(stream, PROTOCOL, buffer_callback=stream.keep).dump(obj)
    return [stream.pieces(), *stream.buffers]


def _decode(frames: list[memoryview]) -> object:
    stream, *buffers = frames
    return pickle.loads(stream, buffers=buffers)  # noqa: S301  # what this codec is for; `allowed="raw"` refuses it


PICKLE = Codec("pickle", encode_pickle, _decode)
CLOUDPICKLE = Codec("cloudpickle", encode_cloudpickle, _decode)

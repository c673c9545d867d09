"""Read a pickle without unpickling it: its instructions, whatever sizes they claim, and the names it would import."""

from __future__ import annotations

from pickletools import opcodes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROTOCOL = b"\x80"
"""The first byte of pickles of protocol 2 and later."""

LARGEST_ARGUMENT = 64 * 1024
"""Longer arguments are skipped: no name, URI or reference is so long."""

MOST_INSTRUCTIONS = 3_000_000
"""In all pickles of a file: a large file of small instructions would take hours to read."""

#: Functions that proxies and factories of stores are rebuilt by: from a URI and the body of a reference.
RESTORERS = frozenset({"psk.store.restore_proxy", "psk.store.restore_factory"})

#: A pickle that repeats long texts by number names much more in its few bytes than anybody could want to read.
LONGEST_NAME = 500
MOST_NAMES = 10_000
MOST_REFERENCES = 100_000
MARK, UNKNOWN = object(), object()
"""The value that MARK pushes, and every value of no interest, or too long to be of any."""
_PAIR = 2  # URI and body of a reference; text and encoding
_LONGEST_TUPLE = 3  # what `restore_proxy` and `_codecs.encode` take is shorter


class DamagedPickleError(ValueError):
    """The instructions end too early or are not valid."""


class _LongArgumentError(Exception):
    """An argument is longer than any of interest; it has been skipped."""


class Cursor:
    """Read bytes from a place on, for the readers of `pickletools`; never beyond the end, and never much at once.

    Args:
        view: Where to read.

    Attributes:
        at: Place of the next byte.
        instructions: How many were read.
    """

    __slots__ = ("at", "instructions", "view")

    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.at = self.instructions = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return self.view.nbytes - self.at

    def read(self, count: int) -> bytes:
        """Return the next bytes, exactly so many.

        Raises:
            DamagedPickleError: There are not so many.
        """
        start, left = self.at, self.left
        if count > left:
            raise DamagedPickleError(f"it is cut off: {count:,} bytes claimed, {left:,} left")
        self.at += count
        if count > LARGEST_ARGUMENT:
            raise _LongArgumentError
        return bytes(self.view[start : self.at])

    def readline(self) -> bytes:
        """Return the bytes up to and with the next newline.

        Raises:
            DamagedPickleError: There is none.
        """
        for start in range(self.at, self.view.nbytes, LARGEST_ARGUMENT):
            newline = bytes(self.view[start : start + LARGEST_ARGUMENT]).find(b"\n")
            if newline >= 0:
                return self.read(start + newline + 1 - self.at)
        raise DamagedPickleError("it is cut off in a line")


def _two_names(cursor: Cursor) -> tuple[str, ...]:
    # Not with the standard library's reader: it joins the two with a space, which either may contain.
    try:
        return tuple(cursor.readline()[:-1].decode("utf-8", "backslashreplace") for _ in range(2))
    except _LongArgumentError:
        raise DamagedPickleError("a name is longer than any") from None


def _skip_line(cursor: Cursor) -> object:
    # No number is of interest, and Python refuses to read a long one.
    cursor.readline()
    return UNKNOWN


_NAMES = {it.code.encode("latin-1"): it.name for it in opcodes}
_READERS: dict[str, Callable[[Any], Any]] = {
    **{it.name: it.arg.reader for it in opcodes if it.arg is not None},
    **dict.fromkeys(("GLOBAL", "INST"), _two_names),
    **dict.fromkeys(("INT", "LONG", "FLOAT"), _skip_line),
}
#: The kinds of values that each instruction takes from the stack, and how many it pushes.
_EFFECTS = {it.name: ([kind.name for kind in it.stack_before], len(it.stack_after)) for it in opcodes}
#: Instructions that push a text or bytes that are written in the pickle.
_TEXTS_AND_BYTES = frozenset(
    it.name for it in opcodes if it.arg and {"str", "bytes", "bytes_or_str"} & {made.name for made in it.stack_after}
)


def instructions(cursor: Cursor) -> Iterator[tuple[str, Any]]:
    """Iterate over the instructions up to the next STOP: name and argument.

    Raises:
        DamagedPickleError: The next byte is not an instruction, or the instruction is truncated.
    """
    while cursor.instructions < MOST_INSTRUCTIONS:
        cursor.instructions += 1
        if not cursor.left:
            raise DamagedPickleError("it is cut off: there is no STOP")
        code = cursor.read(1)
        name = _NAMES.get(code)
        if name is None:
            raise DamagedPickleError(f"{code!r} is not an instruction")
        yield name, _argument(cursor, name) if name in _READERS else None
        if name == "STOP":
            return
    raise DamagedPickleError(f"it has more than {MOST_INSTRUCTIONS:,} instructions: the others were not read")


def _argument(cursor: Cursor, name: str) -> Any:
    try:
        return _READERS[name](cursor)
    except _LongArgumentError:
        return UNKNOWN
    except DamagedPickleError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever the standard library's readers stumble over
        raise DamagedPickleError(f"the argument of {name} makes no sense: {error}") from None


class _Global:
    """Something that unpickling imports; not a text, even if its value is one, for the value is not known.

    Args:
        name: Module and qualified name.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Machine:
    """Follow what the unpickler does with names; all other values are unknown.

    Attributes:
        protocol: The protocol that the pickle declares; 0 if it declares none.
        imports: How often each name is fetched; `?` is a name that is computed.
        references: URI and body of each reference, in order.
        buffers: How many out-of-band buffers are used.
        persistent: How many objects are named by a persistent id.
    """

    def __init__(self) -> None:
        self.protocol = 0
        self.imports: dict[str, int] = {}
        self.references: list[tuple[Any, Any]] = []
        self.buffers = 0
        self.persistent = 0
        self._stack: list[Any] = []
        self._memo: dict[Any, Any] = {}

    def run(self, cursor: Cursor) -> None:
        """Follow one pickle from the cursor's place up to its STOP.

        Raises:
            DamagedPickleError: It is cut off, or makes no sense.
        """
        self._stack, self._memo = [], {}
        for name, argument in instructions(cursor):
            takes, pushes = _EFFECTS[name]
            value = self._do(name, argument, self._take(takes) if takes else [])
            self._stack += [value] * pushes

    def _take(self, kinds: list[str]) -> list[Any]:
        """Pop what an instruction takes, given as in `pickletools`; return it without the mark, if there is one."""
        taken: list[Any] = []
        if "mark" in kinds:
            while (item := self._pop()) is not MARK:
                taken.append(item)
            kinds = kinds[: kinds.index("mark")]
        taken += [self._pop() for _ in kinds]
        return taken[::-1]

    def _pop(self) -> Any:
        if not self._stack:
            raise DamagedPickleError("it takes a value from an empty stack")
        return self._stack.pop()

    def _do(self, name: str, argument: Any, taken: list[Any]) -> Any:  # noqa: C901, PLR0911, PLR0912  # one case for each instruction that matters
        """Return what an instruction pushes, given what it took."""
        match name:
            case "PROTO":
                self.protocol = max(self.protocol, argument)
            case "NEXT_BUFFER":
                self.buffers += 1
            case "PERSID" | "BINPERSID":
                self.persistent += 1
            case "MARK":
                return MARK
            case "DUP" | "READONLY_BUFFER":
                return taken[0]
            case "MEMOIZE":
                self._memo[len(self._memo)] = taken[0]
                return taken[0]
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._pop()
                self._stack.append(self._memo[argument])
            case "GET" | "BINGET" | "LONG_BINGET":
                return self._memo.get(argument, UNKNOWN)
            case "EMPTY_TUPLE" | "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                return tuple(taken) if len(taken) <= _LONGEST_TUPLE else UNKNOWN
            case "GLOBAL":
                return self._fetch(*argument)
            case "STACK_GLOBAL":
                return self._fetch(*taken)
            case "EXT1" | "EXT2" | "EXT4":
                return self._fetch("copyreg", f"extension {argument}")
            case "INST":
                return self._call(self._fetch(*argument), tuple(taken))
            case "OBJ" if taken:
                return self._call(taken[0], tuple(taken[1:]))
            case "REDUCE":
                return self._call(*taken)
            case _ if name in _TEXTS_AND_BYTES:
                return argument
        return UNKNOWN

    def _fetch(self, module: Any, qualified_name: Any) -> _Global:
        name = ".".join(_shortened(it) if isinstance(it, str) else "?" for it in (module, qualified_name))
        if len(self.imports) == MOST_NAMES and name not in self.imports:
            raise DamagedPickleError(f"it imports more than {MOST_NAMES:,} names: the others were not read")
        self.imports[name] = self.imports.get(name, 0) + 1
        return _Global(name)

    def _call(self, function: Any, arguments: Any) -> Any:
        name = function.name if isinstance(function, _Global) else ""
        pair = arguments if isinstance(arguments, tuple) and len(arguments) == _PAIR else (UNKNOWN, UNKNOWN)
        if name in RESTORERS:
            if len(self.references) == MOST_REFERENCES:
                raise DamagedPickleError(f"it has more than {MOST_REFERENCES:,} references: the others were not read")
            self.references.append(pair)
        elif name == "_codecs.encode" and isinstance(pair[0], str):
            # How protocols 0 to 2, which know no bytes, write them.
            return pair[0].encode("latin-1", "replace")
        return UNKNOWN


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."

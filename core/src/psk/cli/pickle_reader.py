"""Read a pickle without unpickling it: its instructions, whatever sizes they claim, and the names it would import."""

from __future__ import annotations

from pickletools import opcodes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOL = b"\x80"
"""The first byte of pickles of protocol 2 and later."""

LARGEST_ARGUMENT = 64 * 1024
"""Longer arguments are skipped: no name, URI or reference is so long."""

MOST_INSTRUCTIONS = 3_000_000
"""In all pickles of a file: a large file of small instructions would take hours to read."""

_INSTRUCTIONS = {it.code: it for it in opcodes}
#: Bytes before the data that hold its length, for each of the negative numbers that pickletools has for them.
_LENGTH_BYTES = {-2: 1, -3: 4, -4: 4, -5: 8}
_UP_TO_NEWLINE = -1
_SIGNED = -3
_NUMBERS = frozenset({"LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "INT"})
_TWO_LINES = "stringnl_noescape_pair"
#: Where proxies and factories of stores say how they are rebuilt: from a URI and the body of a reference.
RESTORERS = frozenset({"psk.store.restore_proxy", "psk.store.restore_factory"})

_EFFECTS = {it.name: (it.stack_before, it.stack_after) for it in opcodes}
#: What pushes a text or bytes that are written in the pickle.
_TEXTS_AND_BYTES = frozenset(
    it.name for it in opcodes if it.arg and {"str", "bytes", "bytes_or_str"} & {made.name for made in it.stack_after}
)
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


class Cursor:
    """Read bytes from a place on, as the readers of `pickletools` do; never beyond the end.

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
        """Return up to `count` bytes."""
        data = bytes(self.view[self.at : self.at + count])
        self.at += len(data)
        return data

    def readline(self) -> bytes:
        """Return the bytes up to and with the next newline, or as many as an argument of interest may have."""
        line = bytes(self.view[self.at : self.at + LARGEST_ARGUMENT])
        line = line[: line.find(b"\n") + 1 or None]
        self.at += len(line)
        return line

    def skip(self, count: int) -> None:
        """Pass over bytes.

        Raises:
            DamagedPickleError: There are not so many.
        """
        if not 0 <= count <= self.left:
            raise DamagedPickleError(f"it is cut off: {count:,} bytes claimed, {self.left:,} left")
        self.at += count

    def skip_line(self) -> None:
        """Pass over the next newline.

        Raises:
            DamagedPickleError: There is none.
        """
        while line := self.readline():
            if line.endswith(b"\n"):
                return
        raise DamagedPickleError("it is cut off in a line")


def instructions(cursor: Cursor) -> Iterator[tuple[str, Any]]:
    """Iterate over the instructions up to the next STOP: name and argument.

    Raises:
        DamagedPickleError: The next byte is not an instruction, or the instruction is truncated.
    """
    while cursor.instructions < MOST_INSTRUCTIONS:
        cursor.instructions += 1
        code = cursor.read(1)
        if not code:
            raise DamagedPickleError("it is cut off: there is no STOP")
        instruction = _INSTRUCTIONS.get(code.decode("latin-1"))
        if instruction is None:
            raise DamagedPickleError(f"{code!r} is not an instruction")
        yield instruction.name, _argument(cursor, instruction)
        if instruction.name == "STOP":
            return
    raise DamagedPickleError(f"it has more than {MOST_INSTRUCTIONS:,} instructions: the others were not read")


def _argument(cursor: Cursor, instruction: Any) -> Any:
    descriptor = instruction.arg
    if descriptor is None:
        return None
    if descriptor.name == _TWO_LINES:
        # Not with the standard library's reader: it joins the two with a space, which either may contain.
        return tuple(_line(cursor).decode("utf-8", "backslashreplace") for _ in range(2))
    start, width = cursor.at, _LENGTH_BYTES.get(descriptor.n)
    if width is not None:
        cursor.skip(width)
        length = int.from_bytes(cursor.view[start : cursor.at], "little", signed=descriptor.n == _SIGNED)
        cursor.skip(length)
    elif descriptor.n == _UP_TO_NEWLINE:
        cursor.skip_line()
    else:
        cursor.skip(descriptor.n)
    if cursor.at - start > LARGEST_ARGUMENT or instruction.name in _NUMBERS:
        return UNKNOWN
    cursor.at = start
    try:
        return descriptor.reader(cursor)
    except Exception as error:  # noqa: BLE001  # whatever the standard library's readers stumble over
        raise DamagedPickleError(f"the argument of {instruction.name} makes no sense: {error}") from None


def _line(cursor: Cursor) -> bytes:
    line = cursor.readline()
    if not line.endswith(b"\n"):
        raise DamagedPickleError("a name is cut off, or longer than any")
    return line[:-1]


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
        imports: How often each name is fetched; `?` stands for a name that is computed.
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
            self._step(name, argument)

    def _step(self, name: str, argument: Any) -> None:  # noqa: C901, PLR0912  # one case for each instruction that matters
        match name:
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._top()
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._top()
            case "GET" | "BINGET" | "LONG_BINGET":
                self._stack.append(self._memo.get(argument, UNKNOWN))
            case "MARK":
                self._stack.append(MARK)
            case "POP":
                self._pop()
            case "DUP":
                self._stack.append(self._top())
            case "READONLY_BUFFER":
                self._top()
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                items = [self._pop() for _ in range(int(name[-1]))]
                self._stack.append(tuple(reversed(items)))
            case "TUPLE":
                items = self._pop_to_mark()
                self._stack.append(tuple(items) if len(items) <= _LONGEST_TUPLE else UNKNOWN)
            case "GLOBAL":
                self._fetch(*argument)
            case "STACK_GLOBAL":
                qualified_name, module = self._pop(), self._pop()
                self._fetch(module, qualified_name)
            case "INST":
                arguments = self._pop_to_mark()
                self._fetch(*argument)
                self._stack.append(self._call(self._pop(), tuple(arguments)))
            case "OBJ":
                function, *arguments = self._pop_to_mark() or [UNKNOWN]
                self._stack.append(self._call(function, tuple(arguments)))
            case "EMPTY_TUPLE":
                self._stack.append(())
            case "EXT1" | "EXT2" | "EXT4":
                self._fetch("copyreg", f"extension {argument}")
            case "REDUCE":
                arguments, function = self._pop(), self._pop()
                self._stack.append(self._call(function, arguments))
            case _ if name in _TEXTS_AND_BYTES:
                self._stack.append(argument)
            case _:
                self._do(name, argument)

    def _do(self, name: str, argument: Any) -> None:
        """Do what the instructions do that matter only for the stack's height."""
        if name == "PROTO":
            self.protocol = max(self.protocol, argument)
        elif name == "NEXT_BUFFER":
            self.buffers += 1
        elif name in {"PERSID", "BINPERSID"}:
            self.persistent += 1
        before, after = _EFFECTS[name]
        names = [it.name for it in before]
        if "mark" in names:
            self._pop_to_mark()
            before = before[: names.index("mark")]
        for _ in before:
            self._pop()
        self._stack.extend(UNKNOWN for _ in after)

    def _fetch(self, module: Any, qualified_name: Any) -> None:
        name = ".".join(_shortened(it) if isinstance(it, str) else "?" for it in (module, qualified_name))
        if len(self.imports) == MOST_NAMES and name not in self.imports:
            raise DamagedPickleError(f"it imports more than {MOST_NAMES:,} names: the others were not read")
        self.imports[name] = self.imports.get(name, 0) + 1
        self._stack.append(_Global(name))

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

    def _top(self) -> Any:
        if not self._stack:
            raise DamagedPickleError("it takes a value from an empty stack")
        return self._stack[-1]

    def _pop(self) -> Any:
        self._top()
        return self._stack.pop()

    def _pop_to_mark(self) -> list[Any]:
        items = []
        while (item := self._pop()) is not MARK:
            items.append(item)
        items.reverse()
        return items


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."

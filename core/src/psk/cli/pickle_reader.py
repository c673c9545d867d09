"""Read a pickle without unpickling it: its instructions, whatever sizes they claim, and the names it would import."""

from __future__ import annotations

from pickletools import opcodes
from typing import Any, NamedTuple

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
MOST_FOUND = 100_000
MARK, UNKNOWN = object(), object()
"""The value that MARK pushes, and every value of no interest, or too long to be of any."""
_PAIR = 2  # URI and body of a reference; text and encoding


class DamagedPickleError(ValueError):
    """The instructions end too early or are not valid."""


class _LongArgumentError(Exception):
    """An argument is longer than any of interest; it has been skipped."""


class _Global(NamedTuple):
    """Something that unpickling imports; not a text, even if its value is one, for the value is not known."""

    name: str


def _two_names(reader: PickleReader) -> list[str]:
    # Not with the standard library's reader: it joins the two with a space, which either may contain.
    try:
        return [reader.readline()[:-1].decode("utf-8", "backslashreplace") for _ in range(2)]
    except _LongArgumentError:
        raise DamagedPickleError("a name is longer than any") from None


class _Instruction:
    """What one instruction of pickles reads, takes from the stack and pushes, as `pickletools` describes it."""

    def __init__(self, described: Any) -> None:
        self.name: str = described.name
        self.takes = [kind.name for kind in described.stack_before]
        self.pushes = len(described.stack_after)
        reader = described.arg and described.arg.reader
        self.reader: Any = _two_names if self.name in {"GLOBAL", "INST"} else reader
        made = {kind.name for kind in described.stack_after}
        self.pushes_argument = bool(reader and made & {"str", "bytes", "bytes_or_str"})


_INSTRUCTIONS = {it.code.encode("latin-1"): _Instruction(it) for it in opcodes}


class PickleReader:
    """Follow what the unpickler does with names; all other values are unknown.

    The readers of `pickletools` read the arguments of instructions from it as from a file.

    Args:
        view: The bytes of one pickle, or of several one after the other.

    Attributes:
        at: Place of the next byte.
        pickles: How many were read to their end.
        protocol: The highest protocol that a pickle declares; 0 if none does.
        imports: How often each name is fetched; `?` is a name that is computed.
        references: URI and body of each reference, in order.
    """

    def __init__(self, view: memoryview) -> None:
        self.at = self.pickles = self.protocol = 0
        self.imports: dict[str, int] = {}
        self.references: list[tuple[Any, Any]] = []
        self._view = view
        self._instructions = 0
        self._stack: list[Any] = []
        self._memo: dict[Any, Any] = {}

    def follow(self) -> None:
        """Follow the pickles to the end of the bytes.

        Raises:
            DamagedPickleError: One is cut off, or cannot be followed.
        """
        while self.at < self._view.nbytes:
            self._stack, self._memo = [], {}
            while self._step() != "STOP":
                pass
            self.pickles += 1

    def read(self, count: int) -> bytes:
        """Return the next bytes, exactly so many; never beyond the end, and never much at once."""
        start, left = self.at, self._view.nbytes - self.at
        if count > left:
            raise DamagedPickleError(f"it is cut off: {left:,} bytes are left of {count:,}")
        self.at += count
        if count > LARGEST_ARGUMENT:
            raise _LongArgumentError
        return bytes(self._view[start : self.at])

    def readline(self) -> bytes:
        """Return the bytes up to and with the next newline."""
        for start in range(self.at, self._view.nbytes, LARGEST_ARGUMENT):
            newline = bytes(self._view[start : start + LARGEST_ARGUMENT]).find(b"\n")
            if newline >= 0:
                return self.read(start + newline + 1 - self.at)
        raise DamagedPickleError("it is cut off in a line")

    def _step(self) -> str:
        """Follow one instruction and return its name."""
        self._instructions += 1
        if self._instructions > MOST_INSTRUCTIONS:
            raise DamagedPickleError(f"it has more than {MOST_INSTRUCTIONS:,} instructions: the others were not read")
        code = self.read(1)
        instruction = _INSTRUCTIONS.get(code)
        if instruction is None:
            raise DamagedPickleError(f"{code!r} is not an instruction")
        try:
            argument = instruction.reader(self) if instruction.reader else None
        except _LongArgumentError:
            argument = UNKNOWN
        except Exception as error:  # noqa: BLE001  # whatever the standard library's readers stumble over
            raise DamagedPickleError(f"the argument of {instruction.name} cannot be read: {error}") from None
        value = self._do(instruction, argument, self._take(instruction.takes))
        self._stack += [value] * instruction.pushes
        return instruction.name

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

    def _do(self, instruction: _Instruction, argument: Any, taken: list[Any]) -> Any:  # noqa: C901, PLR0911, PLR0912  # one case for each instruction that matters
        """Return what an instruction pushes, given what it took."""
        match instruction.name:
            case "PROTO":
                self.protocol = max(self.protocol, argument)
            case "MARK":
                return MARK
            case "DUP":
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
                return tuple(taken)
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
        return argument if instruction.pushes_argument else UNKNOWN

    def _fetch(self, module: Any, qualified_name: Any) -> _Global:
        name = ".".join(it[:LONGEST_NAME] if isinstance(it, str) else "?" for it in (module, qualified_name))
        self.imports[name] = self.imports.get(name, 0) + 1
        self._check_found()
        return _Global(name)

    def _call(self, function: Any, arguments: Any) -> Any:
        name = function.name if isinstance(function, _Global) else ""
        pair = arguments if isinstance(arguments, tuple) and len(arguments) == _PAIR else (UNKNOWN, UNKNOWN)
        if name in RESTORERS:
            self.references.append(pair)
            self._check_found()
        elif name == "_codecs.encode" and isinstance(pair[0], str):
            # How protocols 0 to 2, which know no bytes, write them.
            return pair[0].encode("latin-1", "replace")
        return UNKNOWN

    def _check_found(self) -> None:
        if len(self.imports) + len(self.references) > MOST_FOUND:
            raise DamagedPickleError(f"it has more than {MOST_FOUND:,} names and references: the others were not read")

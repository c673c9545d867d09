"""Assemble pickles that no pickler writes. The opcodes are those of `pickletools`."""

from __future__ import annotations

import struct


def text(value):
    """Push a text."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value):
    """Push an integer."""
    return b"I%d\n" % value


def found(module, name, *, stack=False):
    """Push what a module has under a name: opcode STACK_GLOBAL, or GLOBAL."""
    return text(module) + text(name) + b"\x93" if stack else b"c%s\n%s\n" % (module.encode(), name.encode())


def apply(function, *arguments):
    """Call what is pushed: REDUCE."""
    return function + b"(" + b"".join(arguments) + b"tR"


def call(module, name, *arguments, way="global"):
    """Call what a module has under a name, in one of the four ways that the machine knows."""
    pushed = b"".join(arguments)
    if way == "inst":
        return b"(" + pushed + b"i%s\n%s\n" % (module.encode(), name.encode())
    if way == "obj":
        return b"(" + found(module, name) + pushed + b"o"
    return apply(found(module, name, stack=way == "stack_global"), *arguments)


def newobj(module, name, *arguments):
    """Make an instance past its class's `__init__`: NEWOBJ."""
    return found(module, name) + b"(" + b"".join(arguments) + b"t\x81"


def newobj_ex(module, name, *arguments):
    """The same with keywords: NEWOBJ_EX."""
    return found(module, name) + b"(" + b"".join(arguments) + b"t}\x92"


def whole(body, protocol=4):
    """Make a pickle of what leaves one object on the stack."""
    return (b"" if protocol < 2 else b"\x80" + bytes((protocol,))) + body + b"."


def nested(pickled, random):
    """Hide a pickle's object in another object, somewhere."""
    start = 2 if pickled[:1] == b"\x80" else 0
    body = pickled[start:-1]
    for _ in range(random.randrange(4)):
        body = random.choice(
            (
                lambda inner: b"](" + inner + b"N" + b"e",
                lambda inner: b"}" + text("key") + inner + b"s",
                lambda inner: b"N" + inner + b"\x86",
                lambda inner: b"(" + inner + b"N1" + b"N",
                lambda inner: inner + b"0K\x01",
            )
        )(body)
    return pickled[:start] + body + b"."

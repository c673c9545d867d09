"""Pickles that run code when they are loaded, of every kind that the pickle machine can call.

Every gadget is harmless but visible: it touches a file, calls a port of this host, or imports a module of its own.
"""

from __future__ import annotations

import os
import pickle
import struct

from hostile.opcodes import apply, call, found, newobj, newobj_ex, number, text, whole

TOUCH = "/usr/bin/touch"
#: How a callable of a module is put on the pickle machine's stack and called.
WAYS = ("global", "stack_global", "inst", "obj")


def calls(canary):
    """List the callables that gadgets reach for: module, name, arguments."""
    path, host, port = canary.path, canary.host, canary.port
    code = f"open({path!r}, 'w').close()"
    shell = f"{TOUCH} {path}"
    url = f"http://{host}:{port}/"
    argv = [TOUCH, path]
    return [
        ("os", "system", shell),
        ("posix", "system", shell),
        ("nt", "system", shell),
        ("os", "popen", shell),
        ("os", "posix_spawn", TOUCH, argv, {}),
        ("os", "execv", TOUCH, argv),
        ("os", "fork"),
        ("os", "mkdir", path),
        ("posix", "open", path, 0o101),
        ("os", "_exit", 0),
        ("builtins", "eval", code),
        ("builtins", "exec", code),
        ("builtins", "compile", code, "x", "exec"),
        ("builtins", "open", path, "w"),
        ("builtins", "__import__", canary.module),
        ("__builtin__", "eval", code),
        ("importlib", "import_module", canary.module),
        ("subprocess", "Popen", argv),
        ("subprocess", "check_output", argv),
        ("subprocess", "getoutput", shell),
        ("commands", "getoutput", shell),
        ("pty", "spawn", argv),
        ("runpy", "run_path", canary.script),
        ("timeit", "timeit", code),
        ("cProfile", "run", code),
        ("code", "compile_command", code),
        ("ctypes", "CDLL", "libc.so.6"),
        ("marshal", "loads", b"c"),
        ("pickle", "loads", whole(call("os", "mkdir", text(path)))),
        ("_pickle", "loads", whole(call("os", "mkdir", text(path)))),
        ("socket", "create_connection", (host, port)),
        ("_socket", "getaddrinfo", host, port),
        ("urllib.request", "urlopen", url),
        ("webbrowser", "open", url),
        ("xmlrpc.client", "ServerProxy", url),
        ("ftplib", "FTP", host),
        ("shutil", "copyfile", canary.script, path),
        ("sys", "exit"),
        ("signal", "alarm", 1),
        ("hostile_canary_module", "anything"),
        ("psk", "set_policy"),
        ("psk", "set_signing_key", "team", "00" * 32),
        ("psk", "resolve", ()),
        ("psk.connectors", "open_connector", f"canary://{host}:{port}"),
        ("psk.store", "Store", "hostile", f"file://{path}"),
    ]


class Reduced:
    """Pickles as whatever it is told to, as any class of a producer may."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce_ex__(self, protocol):
        return self.reduced


def reduced(canary):
    """List gadgets that pickle itself writes, by their name."""
    touch = (os.mkdir, (canary.path,))
    made = {
        "reduce": Reduced(*touch),
        "reduce with state": Reduced(list, (), Reduced(*touch)),
        "reduce with items": Reduced(list, (), None, iter([Reduced(*touch)])),
        "reduce with pairs": Reduced(dict, (), None, None, iter([("x", Reduced(*touch))])),
        "reduce with setter": Reduced(list, (), canary.path, None, None, os.mkdir),
        "environ item": Reduced(os._Environ, ({}, str, str, str, str), None, None, iter([("a", Reduced(*touch))])),
        "class": Reduced(type, ("Made", (), {"x": Reduced(*touch)})),
    }
    return {name: pickle.dumps(gadget, 4) for name, gadget in made.items()}


def machines(canary):
    """List gadgets that no pickler writes, by their name: the pickle machine's odder ways to call or to take memory."""
    touch = call("os", "mkdir", text(canary.path))
    shell = text(f"{TOUCH} {canary.path}")
    setter = found("argparse", "Namespace") + b")\x81" + b"}" + text("__setstate__") + found("os", "system") + b"sb"
    return {
        "build": setter + shell + b"b",
        "build by slots": found("argparse", "Namespace") + b")\x81N}" + text("x") + touch + b"s\x86b",
        "newobj": newobj("subprocess", "Popen", shell),
        "newobj_ex": newobj_ex("subprocess", "Popen", shell),
        "attribute path": found("os", "path.os.system", stack=True) + shell + b"\x85R",
        "getattr": call("builtins", "getattr", found("os", "path"), text("os")) + b"0" + touch,
        "partial": apply(call("functools", "partial", found("os", "mkdir"), text(canary.path))),
        "map": call("builtins", "list", call("builtins", "map", found("os", "mkdir"), b"]" + text(canary.path) + b"a")),
        "persistent id": b"P" + canary.path.encode() + b"\n",
        "binary persistent id": text(canary.path) + b"Q",
        "extension": b"\x82\x01",
        "long extension": b"\x84\xff\xff\xff\x7f",
        "short extension": b"\x83\xef\xbe",
        "hidden behind a value": touch + b"0N",
        "hidden in the memo": touch + b"q\x000h\x00",
        "hidden in a mark": b"(" + touch + b"1N",
        "out of band": call("builtins", "exec", b"\x97"),
        "out of band, read-only": call("builtins", "exec", b"\x97\x98"),
        "vast memo": b"Nr" + struct.pack("<I", 0x7FFFFFF0),
        "vast bytes": b"\x8e" + struct.pack("<Q", 1 << 60),
        "vast text": b"\x8d" + struct.pack("<Q", 1 << 62),
        "vast bytearray": b"\x96" + struct.pack("<Q", 1 << 40),
        "vast number": b"\x8b" + struct.pack("<i", 0x7FFFFFF0),
        "vast frame": b"\x95" + struct.pack("<Q", 1 << 63) + touch,
        "deep": b"]" * 20_000 + touch + b"a" * 20_000,
        "multiplied": text("x" * 100) + b"".join(b"2\x86" for _ in range(200)),
        "repeated": call("operator", "mul", text("x"), number(1 << 40)),
        "text opcode": b"V" + canary.path.encode() + b"\nios\nsystem\n",
        "unknown opcode": b"\xff" + touch,
        "no opcode": b"",
    }


#: What replaces this process or ends it: left out where gadgets are let run.
FATAL = ("os.execv", "os._exit", "sys.exit", "os.fork", "signal.alarm", "vast", "deep", "multiplied", "repeated")


def gadgets(canary, random):
    """Give every gadget as a whole pickle, by its name; how its callable is reached is left to chance."""
    made = {}
    for module, name, *arguments in calls(canary):
        body = call(module, name, *map(encoded, arguments), way=random.choice(WAYS))
        made[f"{module}.{name}"] = whole(body, random.choice((0, 2, 4, 5)))
    for name, body in machines(canary).items():
        made[name] = whole(body, random.choice((4, 5)))
    return made | reduced(canary)


def encoded(value):
    """Give the opcodes that leave a plain value on the stack."""
    return pickle.dumps(value, 2)[2:-1]


def is_fatal(name):
    """Tell whether a gadget ends the process that runs it, or takes all its memory or time."""
    return name.startswith(FATAL)

"""The connectors, codecs and commands of psk-core, and the names that its other first-party distributions provide.

Tables of strings: looking up a name of psk's own imports nothing and scans nothing.
"""

from __future__ import annotations

DISTRIBUTION = "psk-core"

CONNECTORS = {
    "file": (
        "psk.connectors.file:FileConnector",
        "Files in a directory that all processes see.",
        "file://{+path}{?durability,timeout}",
    ),
    "local": ("psk.connectors.local:LocalConnector", "Objects within one process.", "local://{name}{?process}"),
    "multi": (
        "psk.connectors.multi:MultiConnector",
        "Several channels, chosen by the size and kind of each object.",
        "multi://{names}{?to1,min1,max1,priority1,host1,subset1,superset1}, and so on for each name",
    ),
    "shm": (
        "psk.connectors.shm:ShmConnector",
        "Shared memory of one host.",
        "shm://{name}/{space}{?root,max_bytes,reuse_bytes,timeout}",
    ),
}
"""By scheme: target, summary and template of the URI. These need only the standard library."""

FIRST_PARTY = dict.fromkeys(("keydb", "keydbs", "redis", "rediss", "valkey", "valkeys"), "psk-connector-redis")
"""The first-party distribution that provides each scheme. A test compares the table with their entry points.

psk recommends no other distribution for installation: anybody could register a name that is free.
"""

FIRST_PARTY_COMMANDS = {
    "bench": "psk-bench",
    "plugins.check": "psk-testing",
    "plugins.new": "psk-testing",
}
"""The first-party distribution that adds each command to the program `psk`."""

CODECS = {
    "bytearray": ("psk.wire.codec:BYTEARRAY", "bytearray, as it is."),
    "bytes": ("psk.wire.codec:BYTES", "bytes, as they are."),
    "cloudpickle": ("psk.wire.pickling:CLOUDPICKLE", "Objects that only cloudpickle can pickle, such as lambdas."),
    "memory": ("psk.wire.codec:MEMORY", "memoryview, as it is."),
    "pickle": ("psk.wire.pickling:PICKLE", "Any object, its large buffers out of band."),
    "str": ("psk.wire.codec:STR", "Text, as UTF-8."),
    "torch": ("psk.arrays.torch:CODEC", "Dense tensors of PyTorch."),
}
"""By name: target and summary."""

CODEC_TYPES = {"torch": ("torch:Tensor", "torch.nn:Parameter")}
"""By codec: the types that it encodes without being asked for."""

REDUCERS = {
    "numpy": "psk.arrays.numpy:REDUCERS",
    "pandas": "psk.arrays.pandas:REDUCERS",
    "polars": "psk.arrays.polars:REDUCERS",
    "pyarrow": "psk.arrays.arrow:REDUCERS",
    "torch": "psk.arrays.torch:REDUCERS",
}
"""By library: how the codec `pickle` reduces the objects of its types."""

COMMANDS = {
    "plugins.list": (
        "psk.cli.plugins:List",
        "List the plug-ins that are installed, importing none.",
        "psk plugins list --load",
    ),
    "plugins.show": (
        "psk.cli.plugins:Show",
        "Show what a plug-in declares: schemes, form of the URI, capabilities, arguments.",
        "psk plugins show file",
    ),
    "put": (
        "psk.cli.put:Put",
        "Put a file into a channel as an object, and print its key.",
        'psk put "file://$PWD/objects" note.txt\necho "a line" | psk put --ttl 1h "file://$PWD/objects" -',
    ),
    "get": (
        "psk.cli.get:Get",
        "Get an object's bytes, as they are.",
        'key=$(psk put "file://$PWD/objects" note.txt)\npsk get "file://$PWD/objects" "$key"',
    ),
    "ls": (
        "psk.cli.ls:Ls",
        "List the keys of a channel's objects.",
        'psk put "file://$PWD/objects" note.txt\npsk ls --long "file://$PWD/objects"',
    ),
    "rm": (
        "psk.cli.rm:Rm",
        "Remove objects from a channel.",
        'key=$(psk put "file://$PWD/objects" note.txt)\npsk rm "file://$PWD/objects" "$key"',
    ),
    "sweep": (
        "psk.cli.sweep:Sweep",
        "Remove what killed processes left behind.",
        'psk sweep\npsk put "file://$PWD/objects" note.txt\npsk sweep "file://$PWD/objects"',
    ),
    "inspect": (
        "psk.cli.inspection:Inspect",
        "Show the contents of a payload, or of a pickle with proxies, without unpickling it.",
        'key=$(psk put "file://$PWD/objects" note.txt)\npsk inspect "objects/$key"',
    ),
}
"""The commands of the program `psk`, in the order of its help: target, summary, example. A dot in a name is a space."""

TARGETS = {
    kind: {name: target for name, (target, *_) in described.items()}
    for kind, described in (("connector", CONNECTORS), ("codec", CODECS), ("command", COMMANDS))
}
"""By kind and name: the target."""

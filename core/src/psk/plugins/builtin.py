"""What does psk-core bring itself? Found in two tables, and described by the hooks that every plug-in has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.plugins.marker import hookimpl

if TYPE_CHECKING:
    from psk.plugins.descriptions import CodecPlugin, ConnectorPlugin, Description

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
"""By scheme: target, summary and form of the URI. Those that need only the standard library."""

FIRST_PARTY = {
    "keydb": "psk-connector-redis",
    "keydbs": "psk-connector-redis",
    "redis": "psk-connector-redis",
    "rediss": "psk-connector-redis",
    "valkey": "psk-connector-redis",
    "valkeys": "psk-connector-redis",
}
"""Which of our own distributions provides a scheme: those that exist, as a test compares with their entry points.

No other distribution is recommended for installation: a name that is free could be registered by anybody.
"""

FIRST_PARTY_COMMANDS = {
    "bench": "psk-bench",
    "plugins check": "psk-testing",
    "plugins new": "psk-testing",
}
"""Which of our own distributions adds a command to the program `psk`, by what is typed."""

CODECS = {
    "bytearray": ("psk.wire.raw:BYTEARRAY", "bytearray, as it is."),
    "bytes": ("psk.wire.raw:BYTES", "bytes, as they are."),
    "cloudpickle": ("psk.wire.pickling:CLOUDPICKLE", "What only cloudpickle can pickle: what has no name."),
    "memory": ("psk.wire.raw:MEMORY", "memoryview, as it is."),
    "pickle": ("psk.wire.pickling:PICKLE", "Any object, its large buffers out of band."),
    "str": ("psk.wire.raw:STR", "Text, as UTF-8."),
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

TARGETS = {
    "connector": {scheme: target for scheme, (target, *_) in CONNECTORS.items()},
    "codec": {name: target for name, (target, _) in CODECS.items()},
}
"""By kind and name: where it is."""


@hookimpl
def psk_connectors() -> list[ConnectorPlugin]:
    """Describe the core's own channels."""
    from psk.plugins.descriptions import ConnectorPlugin  # whoever opens a channel needs only its target

    return [
        ConnectorPlugin(schemes=[scheme], target=target, summary=summary, uri=uri)
        for scheme, (target, summary, uri) in CONNECTORS.items()
    ]


@hookimpl
def psk_codecs() -> list[CodecPlugin]:
    """Describe the core's own codecs."""
    from psk.plugins.descriptions import CodecPlugin

    return [
        CodecPlugin(
            name,
            target=target,
            summary=summary,
            types=CODEC_TYPES.get(name, ()),
            reducers=REDUCERS if name == "pickle" else {},
        )
        for name, (target, summary) in CODECS.items()
    ]


def find_built_in(kind: str, name: str) -> Description | None:
    """Describe what psk-core itself brings under a name, if it does; scans nothing."""
    described: list[ConnectorPlugin] | list[CodecPlugin]
    if name not in TARGETS.get(kind, ()):
        return None
    described = psk_connectors() if kind == "connector" else psk_codecs()
    return next(one for one in described if one.serves(name))

"""What is known of one plug-in without importing it?"""

from __future__ import annotations

OK = "ok"
NOT_LOADED = "not loaded yet"
DUPLICATE = "duplicate"
INCOMPATIBLE = "incompatible"
NOT_ALLOWED = "not allowed"
BROKEN = "broken"


class InstalledPlugin:
    """One entry point of an installed distribution, or something that psk-core brings itself.

    Attributes:
        kind: `connector`, `codec`, `command` or `observer`; what else stands there is broken.
        name: A connector's scheme, a codec's or a command's name.
        distribution: Who brings it.
        version: Of the distribution.
        value: The module, as `module` or `module:attribute`; where the thing itself is, for those of psk-core.
        status: `ok` (built in, or loaded in this process), `not loaded yet`, `duplicate`, `incompatible`,
            `not allowed` or `broken`.
        why: What is wrong, in one sentence; empty if nothing is known to be.
        requires: What the distribution requires, one requirement each, as its METADATA says.
    """

    __slots__ = ("distribution", "kind", "name", "requires", "status", "value", "version", "why")

    def __init__(
        self,
        kind: str,
        name: str,
        *,
        distribution: str,
        version: str,
        value: str,
        status: str = NOT_LOADED,
        why: str = "",
        requires: tuple[str, ...] = (),
    ) -> None:
        self.kind = kind
        self.name = name
        self.distribution = distribution
        self.version = version
        self.value = value
        self.status = status
        self.why = why
        self.requires = requires

    @property
    def entry_point(self) -> str:
        """The entry point's name, as in `connector.redis`: what PSK_PLUGINS lists."""
        return f"{self.kind}.{self.name}"

    @property
    def origin(self) -> str:
        """The distribution and its version, for messages."""
        return f"{self.distribution} {self.version}"

    @property
    def title(self) -> str:
        """The plug-in and whose it is, with which each message about it begins."""
        return f"plug-in {self.entry_point} of {self.origin}"

    def as_dict(self) -> dict[str, str]:
        """Give kind, name, distribution, version, value, status and why as plain texts."""
        return {
            field: getattr(self, field)
            for field in ("kind", "name", "distribution", "version", "value", "status", "why")
        }

    def __repr__(self) -> str:
        return f"InstalledPlugin({self.entry_point!r} of {self.origin!r}, {self.status!r})"

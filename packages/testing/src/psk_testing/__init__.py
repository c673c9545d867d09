"""Test connectors against the contract of psk: the conformance suite, its fault tools, and commands for authors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psk_testing.conformance import ConnectorTests
    from psk_testing.conformance.suite import rule

__version__ = "0.1.0"
__all__ = ["ConnectorTests", "rule"]


# Imported when they are first named: the commands do without pytest and hypothesis, which take long to import.
def __getattr__(name: str) -> Any:
    if name == "ConnectorTests":
        from psk_testing.conformance import ConnectorTests

        return ConnectorTests
    if name == "rule":
        from psk_testing.conformance.suite import rule

        return rule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

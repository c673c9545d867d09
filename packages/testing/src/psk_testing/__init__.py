"""Test connectors against the contract of psk: the conformance suite, its fault tools, and commands for authors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psk_testing.citing import rule
    from psk_testing.conformance import ConnectorTests

__version__ = "0.1.0"

SUITES = (
    *("batching", "calls", "configuration", "coroutines", "expiring", "faults", "getting", "keys", "listing", "model"),
    *("processes", "putting", "ranges", "reserving", "side_door", "swapping", "taking", "waiting"),
)
# Before they are imported: a failed assertion in a suite that was not rewritten shows no values. The commands need no
# pytest, which takes long to import.
if "pytest" in sys.modules:
    sys.modules["pytest"].register_assert_rewrite(*(f"psk_testing.{module}" for module in SUITES))

__all__ = ["ConnectorTests", "rule"]


def __getattr__(name: str) -> Any:
    if name == "ConnectorTests":
        from psk_testing.conformance import ConnectorTests

        return ConnectorTests
    if name == "rule":
        from psk_testing.citing import rule

        return rule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

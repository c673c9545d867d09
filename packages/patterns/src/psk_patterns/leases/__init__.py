"""How does a process keep objects alive that their channel would otherwise drop? It renews their leases."""

from __future__ import annotations

from psk_patterns.leases.hold import SHORTEST_TTL, Hold
from psk_patterns.leases.reopening import reopened

__all__ = ["SHORTEST_TTL", "Hold", "reopened"]

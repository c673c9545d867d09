"""Evict objects at the end of a block, of a lease, or of the program."""

from __future__ import annotations

from psk_patterns.lifetimes.lease import LeaseLifetime
from psk_patterns.lifetimes.lifetime import ContextLifetime, StaticLifetime, register_lifetime_atexit

__all__ = ["ContextLifetime", "LeaseLifetime", "StaticLifetime", "register_lifetime_atexit"]

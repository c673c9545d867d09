"""When does an object go? At the end of a block, of a lease, or of the program: at the end of its lifetime."""

from __future__ import annotations

from psk_patterns.lifetimes.context import ContextLifetime
from psk_patterns.lifetimes.lease import LeaseLifetime
from psk_patterns.lifetimes.static import StaticLifetime, register_lifetime_atexit

__all__ = ["ContextLifetime", "LeaseLifetime", "StaticLifetime", "register_lifetime_atexit"]

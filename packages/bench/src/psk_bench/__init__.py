"""Measure channels of psk side by side: the command `psk bench`."""

__version__ = "0.1.0"

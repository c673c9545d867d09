"""Describe the command that psk-bench adds to the program `psk`."""

from __future__ import annotations

from psk.plugins import CommandPlugin, hookimpl


@hookimpl
def psk_commands() -> list[CommandPlugin]:
    """Describe the commands."""
    return [
        CommandPlugin(
            "bench",
            target="psk_bench.command:Bench",
            summary="Measure throughput and latency of channels, side by side.",
            example='psk bench --sizes 1k,1M --count 20 "file://$PWD/objects" shm://',
        ),
    ]

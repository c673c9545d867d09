"""Describe the commands that psk-testing adds to the program `psk`."""

from __future__ import annotations

from psk.plugins import CommandPlugin, hookimpl


@hookimpl
def psk_commands() -> list[CommandPlugin]:
    """Describe the commands."""
    return [
        CommandPlugin(
            "plugins.check",
            target="psk_testing.checking.command:Check",
            summary="Check that a plug-in loads and keeps the contract, on a live channel; time it.",
            example='psk plugins check shm\npsk plugins check "file://$PWD/objects"',
        ),
        CommandPlugin(
            "plugins.new",
            target="psk_testing.scaffold:New",
            summary="Write the project of a new connector, complete and passing the conformance suite.",
            example="psk plugins new mine",
        ),
    ]

"""Broken connectors that other processes find by their schemes."""

from psk.plugins import ConnectorPlugin, hookimpl


@hookimpl
def psk_connectors():
    return [
        ConnectorPlugin(schemes=["torn"], target="planted_files:Torn"),
        ConnectorPlugin(schemes=["forgetful"], target="planted_files:Forgetful"),
        ConnectorPlugin(schemes=["crashing"], target="planted_files:CrashingAtExit"),
        ConnectorPlugin(schemes=["hanging"], target="planted_files:HangingAtExit"),
        ConnectorPlugin(schemes=["complaining"], target="planted_files:ComplainingAtExit"),
        ConnectorPlugin(schemes=["forked-badly"], target="planted_files:EndingAForkedChildBadly"),
        ConnectorPlugin(schemes=["hanging-elsewhere"], target="planted_files:HangingElsewhere"),
    ]

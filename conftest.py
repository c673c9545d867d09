"""Checks around every test of the workspace."""

pytest_plugins = [
    "faults.temporary",
    "faults.channels",
    "faults.commands",
    "faults.leaks",
    "faults.ports",
    "faults.scale",
]

"""The program `psk`, and what a command that a plug-in adds to it prints, reads and reports with.

A command raises the errors of psk as they are, and returns an `Exit`: the program reports them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from psk.cli.channel import given_uri
from psk.cli.output import (
    Exit,
    answer,
    answer_no,
    bytes_text,
    notice,
    plain,
    read_duration,
    seconds_text,
    table,
    without_secrets,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.cli.plugin_lookup import find_plugin, load_plugin

__all__ = [
    "Exit",
    "answer",
    "answer_no",
    "bytes_text",
    "find_plugin",
    "given_uri",
    "load_plugin",
    "main",
    "notice",
    "plain",
    "read_duration",
    "seconds_text",
    "table",
    "without_secrets",
]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `psk` command.

    Args:
        argv: The words after the program's name; None takes those of this process.

    Returns:
        The exit code, an `Exit` or that of a plug-in's command.
    """
    from psk.cli.program import run_program

    return run_program(sys.argv[1:] if argv is None else list(argv))


def __getattr__(name: str) -> Any:
    # Most commands look up no plug-in.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from psk.cli import plugin_lookup

    return getattr(plugin_lookup, name)

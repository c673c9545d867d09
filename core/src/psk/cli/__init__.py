"""The program `psk`, and what a command that a plug-in adds to it prints, reads and reports with.

A command raises the errors of psk as they are, and returns an `Exit`: the program reports them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from psk.cli.channel import given_uri
from psk.cli.commands import find_plugin, load_plugin
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

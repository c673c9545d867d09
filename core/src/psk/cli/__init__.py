"""The program `psk`: commands for channels, objects and plug-ins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `psk` command.

    Args:
        argv: The words after the program's name; None takes those of this process.

    Returns:
        The exit code, one of `psk.cli.output.Exit`.
    """
    from psk.cli.program import run_program

    return run_program(sys.argv[1:] if argv is None else list(argv))

"""What can be done with channels, objects and plug-ins from a shell? The `psk` command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `psk` command.

    Args:
        argv: What follows the command's name; None takes that of this process.

    Returns:
        The exit code, one of `psk.cli.exits`.
    """
    from psk.cli.program import run_program

    return run_program(sys.argv[1:] if argv is None else list(argv))

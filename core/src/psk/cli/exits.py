"""What does the command's exit code tell a script?"""

from __future__ import annotations

from typing import Final

DONE: Final = 0
"""It was done, or the answer is yes."""

NO: Final = 1
"""The answer is no, or something is wrong with what was looked at: a missing key, a broken plug-in, a failed check."""

USAGE: Final = 2
"""The command line makes no sense."""

FAILED: Final = 3
"""It could not be done: channel unavailable, deadline passed, file not readable."""

INTERRUPTED: Final = 130
"""Ctrl-C."""

PIPE_CLOSED: Final = 141
"""Nobody reads the output any more, as when `head` has seen enough."""

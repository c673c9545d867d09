"""What became of the plug-ins that this process tried to load?"""

from __future__ import annotations

from typing import Any

loaded: dict[tuple[str, str], tuple[Any, tuple[Any, ...]]] = {}
"""By kind and name: the record of the plug-in, and what it describes. Kept, since modules stay imported too."""

failures: dict[tuple[str, str], str] = {}
"""By kind and name: why the latest attempt failed. Only reported: the next one tries again."""

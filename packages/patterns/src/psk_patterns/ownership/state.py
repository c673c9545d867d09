"""What is a title worth, and why no more?"""

from __future__ import annotations

from enum import Enum
from typing import Final

RELEASED: Final = "it was released"
MOVED: Final = "it was moved to whoever unpickled it, who accepted it"


class State(Enum):
    """What a title is worth."""

    ARRIVED = "not accepted yet"
    OWNED = "owned"
    OFFERED = "on offer"
    ENDED = "ended"

"""How long is a lease, said in seconds, as a difference of times or as a date?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.connectors import check_ttl
from psk.errors import InvalidArgumentError

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    Expiry = float | timedelta | datetime


def is_date(expiry: Expiry) -> bool:
    """Tell whether an expiry is a date rather than a length of time."""
    from datetime import datetime

    return isinstance(expiry, datetime)


def seconds_of(expiry: Expiry) -> float:
    """Give the length of time in seconds; of a date what is left until then, by the clock as it is set now.

    Raises:
        InvalidArgumentError: It is none, not positive, beyond a century, or a date without time zone.
    """
    from datetime import datetime, timedelta

    if isinstance(expiry, datetime):
        if expiry.tzinfo is None:
            raise InvalidArgumentError(
                f"{expiry.isoformat()} is no expiry: nobody knows in which time zone",
                remedy="give a date with tzinfo, as datetime.now(UTC) + timedelta(hours=1), or seconds",
            )
        expiry -= datetime.now(expiry.tzinfo)
    return check_ttl(expiry.total_seconds() if isinstance(expiry, timedelta) else expiry, "expiry")

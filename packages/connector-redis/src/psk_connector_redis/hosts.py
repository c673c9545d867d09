"""To which hosts may this process connect as a user? To any, or to those that its environment names."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from psk.connectors import shown
from psk.errors import ChannelUnavailableError
from psk_connector_redis.addresses import bracketed

if TYPE_CHECKING:
    from psk_connector_redis.addresses import Address

VARIABLE: Final = "PSK_REDIS_HOSTS"


def check_host(address: Address, variable: str) -> None:
    """Make sure that the environment allows a connection; nothing has been sent or resolved before.

    Args:
        address: As the URI, or a server of its cluster or a sentinel, names it.
        variable: The one that names the hosts, if it is set: separated by commas, each with or without a port, with
            `*` for any characters; or the path of a Unix socket, which is compared as it is.

    Raises:
        ChannelUnavailableError: It does not.
    """
    allowed = os.environ.get(variable)
    if allowed is None or any(_is_meant(address, place.strip()) for place in allowed.split(",")):
        return
    raise ChannelUnavailableError(
        f"{variable} does not allow this process to connect to {shown(str(address))}",
        remedy=f"add the host to {variable} if it may be trusted with the password",
    )


def _is_meant(address: Address, place: str) -> bool:
    if address.is_socket:
        return place == address.host
    # Compared as text, as it is written with brackets: no pattern for a port may match the end of an IPv6 address.
    pattern = ".*".join(map(re.escape, bracketed(place.lower()).split("*")))
    whole = str(address).lower()
    return any(re.fullmatch(pattern, name, re.DOTALL) for name in (whole, whole.rpartition(":")[0]))

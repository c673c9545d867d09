"""`psk sweep`: remove what killed processes left behind."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from psk.cli.output import Exit, answer, without_secrets

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

SWEPT_BY_OPENING = frozenset({"file", "multi", "shm"})
"""No server removes the files of these."""


class Sweep:
    """Remove what killed processes left behind.

    Without URI: the shared-memory sessions of this user whose processes are all dead. With URIs: in each of these
    channels unfinished writes, claims without object and expired objects, as every opening of the channel does.
    A channel in which processes leave nothing, as in a Redis server, is only opened, and the output says so. Nothing
    that a living process uses is removed.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the channels, if any."""
        parser.add_argument("uris", metavar="URI", nargs="*", help="a channel to sweep")

    def run(self, arguments: Namespace) -> int:
        """Sweep."""
        from psk.cli.channel import open_store
        from psk.connectors import SupportsList
        from psk.connectors.shm import sweep
        from psk.errors import ChannelDataError

        swept: list[str] = []
        opened: list[str] = []
        for uri in arguments.uris:
            with open_store(uri) as store:
                if uri.partition(":")[0].lower() in SWEPT_BY_OPENING:
                    if isinstance(store.connector, SupportsList):
                        for key in store.connector.keys():  # noqa: SIM118  no dictionary
                            with suppress(ChannelDataError):  # a file of somebody else
                                store.connector.exists(key)  # removes what expired, also if it was copied alone
                    swept.append(without_secrets(uri))
                else:
                    opened.append(without_secrets(uri))
        lines = [f"swept {uri}" for uri in swept]
        lines += [f"opened {uri}: processes leave nothing in this channel" for uri in opened]
        sessions = None
        if not arguments.uris:
            sessions = sweep()
            lines = [f"{sessions} shared-memory session{'s' * (sessions != 1)} of dead processes removed"]
        answer(arguments, {"sessions": sessions, "channels": swept, "opened": opened}, lines)
        return Exit.DONE

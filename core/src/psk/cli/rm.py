"""`psk rm`: remove objects, by key or all that psk wrote."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from psk.cli.channel import add_channel, missing, open_store
from psk.cli.output import Exit, answer, report, without_secrets
from psk.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from psk.store import Store


class Rm:
    """Remove objects from a channel.

    --all removes every object that psk wrote to the channel, whichever program put it, and nothing else.
    The exit code is 1 if a key had no object, or the answer to the question was no.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add channel and keys."""
        add_channel(parser)
        parser.add_argument("keys", metavar="KEY", nargs="*", help="what to remove")
        parser.add_argument("--all", action="store_true", help="remove every object of the channel; asks first")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, arguments: Namespace) -> int:
        """Remove them."""
        if bool(arguments.keys) == arguments.all:
            what = "takes either KEYs or --all" if arguments.all else "needs a KEY, or --all"
            raise UsageError(f"psk rm {what}", remedy="see psk rm --help")
        absent: list[str] = []
        removed, agreed = 0, True
        with open_store(arguments.uri) as store:
            if not arguments.all:
                removed, absent = _remove(store, arguments)
            elif agreed := arguments.yes or _ask(len(store.list(timeout=arguments.timeout)), store.shown_uri):
                removed = store.clear(timeout=arguments.timeout)
        document = {"uri": without_secrets(arguments.uri), "removed": removed, "missing": absent}
        answer(arguments, document, f"{removed} removed" if arguments.all else ())
        if absent and not arguments.json:
            report(missing(arguments.uri, *absent), as_json=False)
        return Exit.NO if absent or not agreed else Exit.DONE


def _remove(store: Store, arguments: Namespace) -> tuple[int, list[str]]:
    from psk.connectors import validate_key

    for key in arguments.keys:
        validate_key(key)  # before the first one is removed
    absent = []
    for key in arguments.keys:
        if store.exists(key, timeout=arguments.timeout):
            store.evict(key, timeout=arguments.timeout)
        else:
            absent.append(key)
    return len(arguments.keys) - len(absent), absent


def _ask(count: int, uri: str) -> bool:
    """Ask on stderr, since stdout is for results.

    Raises:
        UsageError: Standard input is not a terminal.
    """
    if sys.stdin is None or sys.stderr is None or not sys.stdin.isatty():
        raise UsageError(
            f"psk rm --all asks before it removes all {count} objects of {uri}, and standard input is not a terminal",
            remedy="add --yes",
        )
    sys.stderr.write(f"Remove all {count} objects of {uri}, whichever program put them? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}

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

DETAILS = """
--all removes every object that psk wrote to the channel, whichever program put it, and nothing else.
The exit code is 1 if a key had no object, or the answer to the question was no.
"""


class Rm:
    """The command `psk rm`."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add channel and keys."""
        parser.description = f"{parser.description}\n{DETAILS}"
        add_channel(parser)
        parser.add_argument("keys", metavar="KEY", nargs="*", help="what to remove")
        parser.add_argument("--all", action="store_true", help="remove every object of the channel; asks first")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def run(self, arguments: Namespace) -> int:
        """Remove them."""
        if bool(arguments.keys) == arguments.all:
            what = "takes either KEYs or --all" if arguments.all else "needs a KEY, or --all"
            raise UsageError(f"psk rm {what}", remedy="see psk rm --help")
        with open_store(arguments.uri) as store:
            return _clear(store, arguments) if arguments.all else _remove(store, arguments)


def _remove(store: Store, arguments: Namespace) -> int:
    from psk.connectors import validate_key

    for key in arguments.keys:
        validate_key(key)  # before the first one is removed
    absent, removed = [], 0
    for key in arguments.keys:
        if store.exists(key, timeout=arguments.timeout):
            store.evict(key, timeout=arguments.timeout)
            removed += 1
        else:
            absent.append(key)
    document = {"uri": without_secrets(arguments.uri), "removed": removed, "missing": absent}
    answer(arguments, document, ())
    if absent and not arguments.json:
        report(missing(arguments.uri, *absent), as_json=False)
    return Exit.NO if absent else Exit.DONE


def _clear(store: Store, arguments: Namespace) -> int:
    removed = 0
    agreed = arguments.yes or _ask(len(store.list(timeout=arguments.timeout)), without_secrets(arguments.uri))
    if agreed:
        removed = store.clear(timeout=arguments.timeout)
    document = {"uri": without_secrets(arguments.uri), "removed": removed, "missing": []}
    answer(arguments, document, f"{removed} removed")
    return Exit.DONE if agreed else Exit.NO


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

"""`psk ls`: the objects of a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli.channel import add_channel, described, open_store
from psk.cli.output import Exit, answer, bytes_text, table, without_secrets

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from psk.store import Store


class Ls:
    """List the keys of a channel's objects.

    With --long the first bytes of each object are read, and shown as a table.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the channel, and how much to show."""
        add_channel(parser)
        parser.add_argument(
            "-l", "--long", action="store_true", help="show size, codec and more of each, from its first few kB"
        )

    def run(self, arguments: Namespace) -> int:
        """List them."""
        with open_store(arguments.uri) as store:
            keys = store.list(timeout=arguments.timeout)
            found: list[dict[str, Any]] = [{"key": key} for key in keys]
            if arguments.long:
                found = list(_stats(store, keys, arguments.timeout))
        document = {"uri": without_secrets(arguments.uri), "objects": found}
        answer(arguments, document, _lines(found) if arguments.long else keys)
        return Exit.DONE


def _stats(store: Store, keys: list[str], timeout: float | None) -> Iterator[dict[str, Any]]:
    """Describe each object by its header; omit one that no longer exists."""
    from psk.errors import ChannelDataError, PayloadError

    for key in keys:
        try:
            found = store.stat(key, timeout=timeout)
        except (PayloadError, ChannelDataError) as error:
            yield {"key": key, "problem": str(error)}
            continue
        if found is not None:
            yield described(found)


def _lines(found: list[dict[str, Any]]) -> Iterator[str]:
    if not found:
        return
    rows = [
        (it["key"], None, "damaged", None, None)
        if "problem" in it
        else (it["key"], bytes_text(it["nbytes"]), it["codec"], "yes" if it["expires"] else "no", it["signed_by"])
        for it in found
    ]
    yield table(("key", "size", "codec", "expires", "signed by"), rows, right=[1])
    total = sum(it.get("nbytes", 0) for it in found)
    yield f"{len(found)} object{'s' * (len(found) > 1)}, {bytes_text(total)}"

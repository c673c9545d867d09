"""`psk ls`: the objects of a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli.channel import add_channel, open_store
from psk.cli.output import Exit, answer, bytes_text, table, without_secrets

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable, Iterator

    from psk.store import Store


class Ls:
    """The command `psk ls`."""

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
            if arguments.long:
                found = list(_described(store, keys, arguments.timeout))
                document: list[dict[str, Any]] = found
                lines: Iterable[str] = _lines(found)
            else:
                document, lines = [{"key": key} for key in keys], keys
        answer(arguments, {"uri": without_secrets(arguments.uri), "objects": document}, lines)
        return Exit.DONE


def _described(store: Store, keys: list[str], timeout: float | None) -> Iterator[dict[str, Any]]:
    """Describe each object by its header; omit one that no longer exists."""
    from psk.errors import ChannelDataError, PayloadError

    for key in keys:
        try:
            found = store.stat(key, timeout=timeout)
        except (PayloadError, ChannelDataError) as error:
            yield {"key": key, "problem": str(error)}
            continue
        if found is not None:
            yield {
                "key": key,
                "nbytes": found.nbytes,
                "codec": found.codec,
                "frames": list(found.frames),
                "revision": found.revision,
                "expires": found.expires,
                "signed_by": found.signed_by or None,
            }


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

"""Run `psk bench`: measure channels side by side, and show the result as a table, a chart or a picture."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

from psk import __version__
from psk.cli import (
    Exit,
    answer,
    bytes_text,
    given_uri,
    plain,
    read_duration,
    seconds_text,
    table,
    without_secrets,
)
from psk_bench.chart import chart
from psk_bench.contender import Contender
from psk_bench.plot import check_plot, draw
from psk_bench.sizes import DEFAULT, read_sizes, size_text
from psk_bench.sweep import GET, PUT, Progress, Series, Sweep

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator, Sequence

COUNT, SECONDS = 200, 2.0
MOST_ROUNDS = 1_000_000


class Bench:
    """Measure throughput and latency of channels, side by side.

    A put encodes an object and stores it, a get fetches, verifies and decodes it: bytes that cannot be compressed, as
    a store moves them that keeps nothing at hand, in this one process. Each round uses every channel once, in changing
    order, compares what came back with what was put, and evicts it again. shm maps objects: their memory is read later.
    The exit code is 1 if a channel returned something else than was put.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the channels, and what to measure."""
        parser.add_argument("uris", metavar="URI", nargs="+", help="a channel, as file:///scratch/objects or shm://")
        parser.add_argument(
            "--sizes",
            type=read_sizes,
            default=DEFAULT,
            help="sizes of objects: 512, 100k, 10MB, 1GiB (%(default)s)",
        )
        parser.add_argument("--count", type=rounds, default=COUNT, help="rounds for each size, at most (%(default)s)")
        parser.add_argument(
            "--seconds",
            metavar="TIME",
            type=read_duration,
            default=SECONDS,
            help="begin no further round of a size after so long on each channel (%(default)g)",
        )
        parser.add_argument("--timeout", metavar="TIME", type=read_duration, help="how long one call may take")
        parser.add_argument("--plot", metavar="FILE", help="draw a picture too, as .png or .svg: needs matplotlib")

    def run(self, arguments: Namespace) -> int:
        """Measure them."""
        if arguments.plot:
            check_plot(arguments.plot)
        with ExitStack() as stack:
            contenders = _opened(arguments, stack)
            sweep = Sweep(contenders, arguments.sizes, arguments.count, arguments.seconds)
            with Progress() as progress:
                sweep.run(progress)
        if arguments.plot and sweep.series:
            draw(sweep.series, arguments.plot)
        document = _document(contenders, sweep, arguments.plot)
        answer(arguments, document, _lines(contenders, sweep, arguments.plot))
        return Exit.NO if sweep.is_wrong else Exit.DONE


def rounds(text: str) -> int:
    """Read a number of rounds.

    Raises:
        ArgumentTypeError: It is not one.
    """
    count = int(text) if text.isdecimal() and len(text) <= len(str(MOST_ROUNDS)) else 0
    if not 0 < count <= MOST_ROUNDS:
        message = f"{text!r:.80} is not a number from 1 to {MOST_ROUNDS}"
        raise ArgumentTypeError(message)
    return count


def _opened(arguments: Namespace, stack: ExitStack) -> list[Contender]:
    schemes = [uri.partition("://")[0] for uri in arguments.uris]
    contenders = []
    for at, (scheme, uri) in enumerate(zip(schemes, arguments.uris, strict=True)):
        label = scheme if schemes.count(scheme) == 1 else f"{scheme} {schemes[: at + 1].count(scheme)}"
        stack.enter_context(given_uri(uri))
        contenders.append(stack.enter_context(closing(Contender(plain(label[:12]), uri, arguments.timeout))))
    return contenders


def _document(contenders: Sequence[Contender], sweep: Sweep, plot: str | None) -> dict[str, Any]:
    return {
        **_circumstances(),
        "channels": [{"channel": one.label, "uri": without_secrets(one.uri)} for one in contenders],
        "results": [series.as_dict() for series in sweep.series],
        "problems": [
            {"channel": label, "nbytes": nbytes, "problem": without_secrets(why)}
            for label, nbytes, why in sweep.problems
        ],
        "plot": plot if sweep.series else None,
    }


def _circumstances() -> dict[str, Any]:
    return {"psk": __version__, "python": sys.version.partition(" ")[0], "processors": os.cpu_count()}


def _lines(contenders: Sequence[Contender], sweep: Sweep, plot: str | None) -> Iterator[str]:
    here = _circumstances()
    yield f"psk {here['psk']}, Python {here['python']}, {here['processors']} processors"
    width = max(len(one.label) for one in contenders)
    for one in contenders:
        yield plain(f"{one.label:<{width}}  {without_secrets(one.uri)}")
    for operation in (PUT, GET):
        series = [one for one in sweep.series if one.operation == operation]
        if series:
            yield ""
            yield from _table(series, operation, contenders)
    for operation in (PUT, GET):
        series = [one for one in sweep.series if one.operation == operation]
        if series:
            yield ""
            yield from chart(series, f"throughput of {operation}", blocks=_has_blocks())
    if sweep.problems:
        yield ""
    for label, nbytes, why in sweep.problems:
        yield plain(without_secrets(f"{label}, {size_text(nbytes)}: {why}"))
    if plot and sweep.series:
        yield ""
        yield plain(f"drawn: {plot}")


def _table(series: Sequence[Series], operation: str, contenders: Sequence[Contender]) -> Iterator[str]:

    several = len(contenders) > 1
    first = {one.nbytes: one for one in reversed(series)}
    header = [operation, *(["channel"] if several else []), "rounds", "p50", "p90", "p99", "throughput"]
    rows = []
    for one in series:
        is_first = first[one.nbytes] is one
        row = [size_text(one.nbytes) if is_first else "", *([one.label] if several else []), len(one.seconds)]
        row += [seconds_text(one.percentile(percent)) for percent in (50, 90, 99)]
        row.append(f"{bytes_text(one.throughput)}/s")
        if several:
            row.append(_ratio_text(one.percentile(50) / first[one.nbytes].percentile(50)))
        rows.append(row)
    if several:
        header.append("p50 ratio")
    yield table(header, rows, right=[0, *range(2 if several else 1, len(header))])


def _ratio_text(ratio: float) -> str:
    places = 2 if ratio >= 0.1 else 3 if ratio >= 0.01 else 4  # noqa: PLR2004  two digits that say something
    return f"{ratio:.{places}f}x"


def _has_blocks() -> bool:
    """Tell whether the output can show block characters."""
    try:
        "█▏".encode((sys.stdout and sys.stdout.encoding) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True

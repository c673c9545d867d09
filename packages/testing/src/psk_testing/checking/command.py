"""Does a plug-in load, keep the contract, and how quick is it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.cli import exits
from psk.cli.output import answer, plain, without_secrets
from psk.cli.quantities import read_duration
from psk.errors import ConnectorError, DeadlineError, PskError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from psk.plugins import InstalledPlugin
    from psk_testing.checking.outcome import Outcome

DETAILS = """
A connector's channel is that of the URI; by NAME a scratch one where that is possible. Objects of the check are
evicted again, others are not touched. The conformance suite (psk_testing) checks much more.
The exit code is 1 if something is not as it should be.
"""
TIMEOUT = 10.0
CHANNEL_ERRORS = (ConnectorError, DeadlineError)
"""Of the channel, so that nothing can be said about the plug-in."""


class Check:
    """The command `psk plugins check`."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to check."""
        parser.description = f"{parser.description}\n{DETAILS}"
        parser.add_argument(
            "name", metavar="NAME|URI", help="as in `psk plugins list`: redis, connector.redis; or a URI"
        )
        parser.add_argument(
            "--timeout",
            metavar="TIME",
            type=read_duration,
            default=TIMEOUT,
            help="how long one call may take (default: %(default)gs)",
        )

    def run(self, arguments: Namespace) -> int:
        """Check it."""
        from psk.cli.subject import asked_plugin

        record = asked_plugin(arguments)
        if record is None:
            return exits.NO
        document: dict[str, Any] = {
            "plugin": record.as_dict(),
            "uri": None,
            "problem": None,
            "checks": [],
            "speed": None,
        }
        try:
            outcomes = _loaded(record, arguments, document)
        except CHANNEL_ERRORS:
            raise
        except PskError as error:
            outcomes, document["problem"] = [], str(error)
        document["checks"] = [outcome.as_dict() for outcome in outcomes]
        answer(arguments, document, _lines(document))
        failed = document["problem"] or any(outcome.outcome == "failed" for outcome in outcomes)
        return exits.NO if failed else exits.DONE


def _loaded(record: InstalledPlugin, arguments: Namespace, document: dict[str, Any]) -> list[Outcome]:
    """Load the plug-in, and look at what it brings."""
    from psk.cli.targets import load_thing
    from psk_testing.checking.outcome import HELD, Outcome

    scheme = arguments.name.partition("://")[0].lower() if "://" in arguments.name else record.name
    thing = load_thing(record.kind, scheme if record.kind == "connector" else record.name)
    outcomes = [Outcome("", f"{record.entry_point} of {record.origin} can be loaded", HELD)]
    if record.kind == "connector":
        from psk_testing.checking.shape import check_shape

        outcomes += check_shape(thing)
        outcomes += _live(scheme, arguments, document)
    elif record.kind == "command":
        from psk.cli.program import command_parser, find_command

        command_parser(record.name, find_command(record.name))
        outcomes.append(Outcome("", "its arguments can be read", HELD))
    return outcomes


def _live(scheme: str, arguments: Namespace, document: dict[str, Any]) -> list[Outcome]:
    """Open a channel and check it, leaving nothing there."""
    from psk.cli.channel import given_uri
    from psk_testing.checking.live import Live
    from psk_testing.checking.outcome import BROKEN, SKIPPED, Outcome
    from psk_testing.checking.scratch import scratch_uri

    given = "://" in arguments.name
    with given_uri(arguments.name) if given else scratch_uri(scheme) as uri:
        try:
            live = Live(uri, arguments.timeout)
        except CHANNEL_ERRORS as error:
            if given:
                raise
            why = f"name a channel: psk plugins check {scheme}://... (none could be made at {uri}: {error})"
            return [Outcome("", "it works on a live channel", SKIPPED, why)]
        except Exception as error:  # noqa: BLE001  # a connector under test raises anything
            why = f"opening {uri} ended in {type(error).__name__}, which is no error of psk.errors: {error}"
            if isinstance(error, TimeoutError) and not error.args:
                why = f"opening {uri} does not end (C5)"
            fix = "read options with psk.connectors.read_options, and translate the errors of others"
            return [Outcome("C36", "a URI opens a channel, or says why not", BROKEN, why, fix)]
        document["uri"] = uri
        try:
            outcomes = live.checks()
            document["speed"] = live.speed()
        finally:
            tidied = live.tidy()
            live.close()
        return [*outcomes, tidied]


def _lines(document: dict[str, Any]) -> Iterator[str]:
    plugin = document["plugin"]
    where = f" on {without_secrets(document['uri'])}" if document["uri"] else ""
    yield plain(f"{plugin['kind']}.{plugin['name']} of {plugin['distribution']} {plugin['version']}{where}")
    if document["problem"]:
        yield plain(f"problem: {document['problem']}")
    for check in document["checks"]:
        yield from _check_lines(check)
    if document["speed"]:
        yield from _speed_lines(document["speed"])
    counts = [f"{_count(document, outcome)} {outcome}" for outcome in ("ok", "failed", "skipped")]
    yield ", ".join(counts)


def _check_lines(check: dict[str, str]) -> Iterator[str]:
    from psk_testing.rules import rule_text

    yield plain(f"{check['outcome']:<8}{check['rule']:<5}{check['what']}")
    below = [without_secrets(check["detail"])]
    if check["outcome"] == "failed":
        below += [check["rule"] and rule_text(check["rule"]), check["fix"] and f"likely fix: {check['fix']}"]
    for line in filter(None, below):
        yield plain(f"             {line}")


def _speed_lines(speed: dict[str, Any]) -> Iterator[str]:
    from psk.cli.quantities import bytes_text, rate_text, seconds_text

    for verb in ("put", "get"):
        for size in ("small", "large"):
            if seconds := speed[f"{verb}_{size}_seconds"]:
                nbytes = speed[f"{size}_bytes"]
                rate = f" ({rate_text(nbytes, seconds)})" if size == "large" else ""
                yield f"{verb:<8}{bytes_text(nbytes)} in {seconds_text(seconds)}{rate}"
    if speed["wait_seconds"] is not None:
        yield f"{'wait':<8}woken {seconds_text(speed['wait_seconds'])} after the put"


def _count(document: dict[str, Any], outcome: str) -> int:
    return sum(check["outcome"] == outcome for check in document["checks"])

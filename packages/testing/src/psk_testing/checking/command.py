"""Run `psk plugins check`: load a plug-in, compare a connector with the contract, and time it."""

from __future__ import annotations

import inspect
import os
from argparse import ArgumentParser
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from psk import MultiConnector
from psk.cli import (
    Exit,
    answer,
    answer_no,
    bytes_text,
    find_plugin,
    given_uri,
    load_plugin,
    plain,
    read_duration,
    seconds_text,
    without_secrets,
)
from psk.connectors import CAPABILITIES, Connector, format_uri
from psk.errors import ConnectorError, DeadlineError, PskError, UnknownPluginError
from psk_testing.checking.channel import BROKEN, HELD, SKIPPED, Outcome
from psk_testing.checking.live import Live
from psk_testing.rules import rule_text

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from psk.plugins import InstalledPlugin


#: The rule that requires each argument.
ARGUMENT_RULES = {"timeout": "C6", "ttl": "C18", "hints": "C19", "size": "C25", "claim": "C47", "lease": "C49"}
TIMEOUT = 10.0
CHANNEL_ERRORS = (ConnectorError, DeadlineError)
"""Of the channel, so that nothing can be said about the plug-in."""


class Check:
    """Check that a plug-in loads and keeps the contract, on a live channel; time it.

    A connector's channel is that of the URI; by NAME a scratch one where that is possible. Objects of the check are
    evicted again, others are not touched. The conformance suite (psk_testing) checks much more.
    The exit code is 1 if something is not as it should be.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to check."""
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
        try:
            record = find_plugin(arguments.name)
        except UnknownPluginError as error:
            return answer_no(arguments, error)
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
        return Exit.NO if failed else Exit.DONE


def _loaded(record: InstalledPlugin, arguments: Namespace, document: dict[str, Any]) -> list[Outcome]:
    """Load the plug-in, and look at what it brings."""
    scheme = arguments.name.partition("://")[0].lower() if "://" in arguments.name else record.name
    thing = load_plugin(record.kind, scheme if record.kind == "connector" else record.name)
    outcomes = [Outcome("", f"{record.entry_point} of {record.origin} can be loaded", HELD)]
    if record.kind == "connector":
        outcomes += check_shape(thing)
        outcomes += _live(scheme, arguments, document)
    elif record.kind == "command":
        parser = ArgumentParser()
        parser.add_argument("--json", action="store_true")  # as the program does: no command may add it again
        thing.add_arguments(parser)
        outcomes.append(Outcome("", "its arguments can be read", HELD))
    return outcomes


def _live(scheme: str, arguments: Namespace, document: dict[str, Any]) -> list[Outcome]:
    """Open a channel and check it, leaving nothing there."""
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
            why = f"opening {uri} ended in {type(error).__name__}, which is not an error of psk.errors: {error}"
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
    yield plain(f"{check['outcome']:<8}{check['rule']:<5}{check['what']}")
    below = [without_secrets(check["detail"])]
    if check["outcome"] == "failed":
        below += [check["rule"] and rule_text(check["rule"]), check["fix"] and f"likely fix: {check['fix']}"]
    for line in filter(None, below):
        yield plain(f"             {line}")


def _speed_lines(speed: dict[str, Any]) -> Iterator[str]:
    for verb in ("put", "get"):
        for size in ("small", "large"):
            if seconds := speed[f"{verb}_{size}_seconds"]:
                nbytes = speed[f"{size}_bytes"]
                rate = f" ({bytes_text(nbytes / seconds)}/s)" if size == "large" else ""
                yield f"{verb:<8}{bytes_text(nbytes)} in {seconds_text(seconds)}{rate}"
    if speed["wait_seconds"] is not None:
        yield f"{'wait':<8}woken {seconds_text(speed['wait_seconds'])} after the put"


def _count(document: dict[str, Any], outcome: str) -> int:
    return sum(check["outcome"] == outcome for check in document["checks"])


def check_shape(kind: type[Connector]) -> Iterator[Outcome]:
    """Compare a class with the contract, and with the capabilities whose methods it has."""
    yield _compared("the methods of a connector take what the contract says", kind, Connector, _methods(Connector))
    for power in CAPABILITIES:
        names = _methods(power)
        present = [name for name in names if callable(getattr(kind, name, None))]
        if present:
            yield _compared(f"the methods of {power.__name__} are all there", kind, power, names, rule="C39")


def _methods(protocol: type) -> list[str]:
    return [name for name in vars(protocol) if not name.startswith("_") and callable(getattr(protocol, name))]


def _compared(what: str, kind: type, protocol: type, names: Any, *, rule: str = "") -> Outcome:
    for name in names:
        method = getattr(kind, name, None)
        if not callable(method):
            return Outcome(
                rule, what, BROKEN, f"{kind.__name__} has no {name}", f"add {name}, as in {protocol.__name__}"
            )
        for parameter in _parameters(getattr(protocol, name)):
            if not _accepts(method, parameter):
                detail = f"{kind.__name__}.{name} takes no {parameter.name!r}"
                fix = f"give it the parameters of {protocol.__name__}.{name}"
                return Outcome(rule or ARGUMENT_RULES.get(parameter.name, ""), what, BROKEN, detail, fix)
    return Outcome(rule, what, HELD)


def _parameters(method: Any) -> list[inspect.Parameter]:
    return [it for it in inspect.signature(method).parameters.values() if it.name not in {"self", "cls"}]


def _accepts(method: Any, wanted: inspect.Parameter) -> bool:
    try:
        parameters = _parameters(method)
    except (ValueError, TypeError):  # a method of an extension module may say nothing
        return True
    if wanted.kind is not wanted.KEYWORD_ONLY:
        return any(it.kind in {it.POSITIONAL_ONLY, it.POSITIONAL_OR_KEYWORD, it.VAR_POSITIONAL} for it in parameters)
    by_name = {wanted.KEYWORD_ONLY, wanted.POSITIONAL_OR_KEYWORD}
    return any(it.kind is it.VAR_KEYWORD or (it.name == wanted.name and it.kind in by_name) for it in parameters)


@contextmanager
def scratch_uri(scheme: str) -> Iterator[str]:
    """Return a URI that nobody else uses, and remove what was made for it.

    A connector that is not of psk-core gets the path of a new directory's entry, which suits those that keep files.
    """
    name = f"psk-check-{os.urandom(6).hex()}"
    with TemporaryDirectory(prefix="psk-check-") as directory:
        if scheme in {"local", "shm"}:
            yield f"{scheme}://{name}"
        elif scheme == "multi":
            yield _composed(f"local://{name}", f"file://{directory}/objects")
        else:
            yield f"{scheme}://{directory}/objects"


def _composed(*uris: str) -> str:
    channels = MultiConnector({f"channel-{number}": uri for number, uri in enumerate(uris)})
    try:
        return format_uri(channels.config())
    finally:
        channels.close()

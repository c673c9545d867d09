"""Test what a connector says about itself, how it is rebuilt, and how it ends (C12, C30 to C37)."""

from __future__ import annotations

import gc
import inspect
import pickle
import sys
import time
from collections.abc import Callable  # noqa: TC003  pytest reads the annotations of tests
from contextlib import suppress
from typing import Any

import pytest

from psk.connectors import DURABILITIES, SupportsExpiry, SupportsWait, format_uri, parse_uri
from psk.errors import ConnectorClosedError, ConnectorConfigError, DeadlineError, DurabilityError, PskError
from psk.store import Store
from psk.wire import Payload, encode
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import MISSING, all_calls, has, pattern, value_of
from psk_testing.residue import FEW, piled_up, residue

LONGEST_INTERVAL = 60.0
"""Seconds between two looks at which nobody could wait any more."""

MANY = 300
"""More objects than an opening may look at."""

SPREAD = 1.3
"""An opening that looks at some objects meets others each time; one that looked at all would make twice the calls."""

PLANTED = "planted-secret-5f3c"


class Configuration(Suite):
    """Test what a connector says about itself, and how it ends."""

    @rule("C12", fix="keep credentials in this process: leave them out of `config()`, `repr` and every message")
    def test_no_secret_shows(self, connector: Any) -> None:
        texts = [repr(connector), str(connector.config()), format_uri(connector.config())]
        texts.append(pickle.dumps(connector).decode("latin-1"))
        for call in all_calls(connector).values():
            try:
                call(timeout=-1)
            except PskError as error:
                texts.append(f"{error!r} {error}")
        assert [secret for secret in self.secrets if any(secret in text for text in texts)] == []

    @rule("C12", "C35", fix="refuse a secret among the options with a message that does not repeat it")
    @pytest.mark.parametrize("option", ["password", "token", "secret"])
    def test_a_secret_among_the_options_is_not_repeated(self, connector: Any, option: str) -> None:
        try:
            opened = type(connector).from_config({**connector.config(), option: PLANTED})
        except PskError as error:
            shown = f"{error!r} {error}"
        else:
            shown = f"{opened!r} {opened.config()}"
            opened.close()
        assert PLANTED not in shown

    @rule("C30", "C32", fix="list in `durabilities` what holds here, weakest first, beginning with volatile")
    def test_durabilities_are_declared(self, connector: Any) -> None:
        levels = connector.durabilities
        assert isinstance(levels, tuple)
        assert levels[0] == "volatile"
        assert levels == DURABILITIES[: len(levels)]

    @rule("C32", fix="check `durability=` when the channel is opened: `DurabilityError` for what cannot hold")
    @pytest.mark.parametrize("level", [*DURABILITIES, "eternal"])
    def test_a_durability_that_nobody_keeps_is_refused(self, connector: Any, level: str) -> None:
        if level in connector.durabilities:
            pytest.skip(f"{connector.scheme} keeps {level} here")
        with pytest.raises(ConnectorConfigError if level == "eternal" else (DurabilityError, ConnectorConfigError)):
            type(connector).from_config({**connector.config(), "durability": level}).close()

    @rule("C33", fix="set `leaves_host = True` if bytes go to a disk, a server or another host")
    def test_what_leaves_the_host_carries_a_checksum(self, connector: Any) -> None:
        assert isinstance(connector.leaves_host, bool)
        store = Store("conformance", connector)
        payload = Payload.parse(connector.get(store.put(bytes(pattern(1000)))))
        assert (payload.checksum is not None) == connector.leaves_host

    @rule("C32", "C33", fix="answer for this instance, from its own options: a rebuilt one answers the same")
    def test_a_rebuilt_connector_promises_the_same(self, connector: Any, opener: Callable[[str], Any]) -> None:
        with opener(connector.uri()) as again:
            assert (again.leaves_host, again.durabilities) == (connector.leaves_host, connector.durabilities)

    @rule("C34", fix="let `close` release connections, and delete nothing")
    def test_close_deletes_nothing_and_may_be_repeated(self, connector: Any, reopened: Any) -> None:
        key = connector.put(encode("kept"))
        connector.close()
        connector.close()
        assert value_of(reopened.get(key)) == "kept"

    @rule("C34", fix="inherit from `psk.connectors.ContextManaged`, or define `__enter__` and `__exit__`")
    def test_a_with_block_closes_it_and_lets_errors_pass(self, connector: Any, reopened: Any) -> None:
        key = connector.put(encode("kept"))
        with pytest.raises(ZeroDivisionError), connector as given:
            raise ZeroDivisionError
        assert given is connector
        with pytest.raises(ConnectorClosedError):
            connector.get(key)
        assert value_of(reopened.get(key)) == "kept"

    @rule("C34", fix="close in `__del__`, and let no thread hold a reference to the connector")
    def test_a_collected_connector_releases_what_it_opened(self, connector: Any, opener: Callable[[str], Any]) -> None:
        uri = format_uri(connector.config())
        before = residue()
        ttl = 1000 if has(connector, SupportsExpiry) else None
        for number in range(2 * FEW):
            opened = opener(uri)
            opened.put(encode(number), ttl=ttl)
            del opened
        assert piled_up(before) == []

    @rule("C35", fix="return `scheme` and plain values, leaving out every option that has its default")
    def test_the_configuration_is_plain_and_short(self, connector: Any, uri: str) -> None:
        config = connector.config()
        assert config["scheme"] == parse_uri(uri)["scheme"]  # some connectors serve several
        assert all(type(value) in {str, int, float, bool} for value in config.values())
        defaults = dict(inspect.signature(type(connector).__init__).parameters)
        defaults.pop("scheme", None)
        repeated = [name for name, value in config.items() if name in defaults and defaults[name].default == value]
        assert repeated == []

    @rule("C35", "C36", "C37", fix="read each option with `as_text`, `as_count`, ... so that text does as well")
    def test_the_configuration_rebuilds_the_channel(self, connector: Any, opener: Callable[[str], Any]) -> None:
        key = connector.put(encode("here"))
        config = connector.config()
        copies = (
            type(connector).from_config(config),
            type(connector).from_config({name: str(value) for name, value in config.items()}),
            opener(format_uri(config)),
            pickle.loads(pickle.dumps(connector)),  # noqa: S301  a connector of our own
        )
        for copy in copies:
            assert copy.config() == config
            assert value_of(copy.get(key)) == "here"
            copy.close()

    @rule("C59", fix="inherit from `psk.connectors.Rebuilding`, and let `config` name what this instance opened")
    def test_its_uri_opens_the_channel(self, connector: Any, opener: Callable[[str], Any]) -> None:
        key = connector.put(encode("here"))
        with opener(connector.uri()) as again:
            assert again.uri() == connector.uri()
            assert value_of(again.get(key)) == "here"

    @rule("C61", fix="declare seconds that a look is worth, or no `look_interval` if the channel notifies")
    def test_a_wait_looks_no_more_often_than_is_declared(self, connector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        interval = getattr(connector, "look_interval", None)
        if interval is None:
            pytest.skip(f"{connector.scheme} declares no look_interval")
        assert isinstance(interval, int | float)
        assert 0 < interval <= LONGEST_INTERVAL
        looks: list[float] = []
        for name in ("get", "exists"):
            monkeypatch.setattr(type(connector), name, counted(getattr(type(connector), name), looks))
        patience = min(3 * interval, 2.0)
        wait = connector.wait if has(connector, SupportsWait) else Store("conformance", connector).wait
        with suppress(DeadlineError):
            wait([MISSING], timeout=patience)
        assert 1 <= len(looks) <= patience / interval + 2

    @rule("C64", fix="look at a limited number of objects when the channel is opened; sweep the others later")
    def test_opening_costs_the_same_whatever_it_holds(self, connector: Any, opener: Callable[[str], Any]) -> None:
        uri = format_uri(connector.config())

        def hold(count: int) -> None:
            for number in range(count):
                connector.put(encode(number), ttl=1000 if has(connector, SupportsExpiry) and number % 2 else None)

        hold(MANY)
        opener(uri).close()  # imports what it needs
        before = calls_of_opening(opener, uri)
        hold(MANY)
        assert calls_of_opening(opener, uri) <= before * SPREAD

    @rule("C36", fix="read options with `read_options(config, scheme=..., readers=...)`")
    def test_an_unknown_option_lists_the_known(self, connector: Any) -> None:
        with pytest.raises(ConnectorConfigError, match="colour") as caught:
            type(connector).from_config({**connector.config(), "colour": "blue"}).close()
        assert caught.value.found

    @rule("C37", fix="define `__reduce__` as `type(self).from_config, (self.config(),)`")
    def test_a_pickle_holds_the_configuration_alone(self, connector: Any) -> None:
        connector.put(encode(pattern(100_000)))
        with suppress(PskError):
            connector.get("no key")
        assert len(pickle.dumps(connector)) < len(format_uri(connector.config())) + 1000


def counted(method: Callable[..., Any], looks: list[float]) -> Callable[..., Any]:
    """Note when a method is called."""

    def call(*positional: Any, **options: Any) -> Any:
        looks.append(time.monotonic())
        return method(*positional, **options)

    return call


def calls_of_opening(opener: Callable[[str], Any], uri: str) -> int:
    """Count the calls of Python and C functions in this thread while a channel is opened: the fewest of three times."""
    counts = []
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    gc.collect()
    gc.disable()  # finalisers of others would be counted
    try:
        for _ in range(3):
            calls = 0
            sys.setprofile(count)
            try:
                opened = opener(uri)
            finally:
                sys.setprofile(None)
            opened.close()
            counts.append(calls)
    finally:
        gc.enable()
    return min(counts)

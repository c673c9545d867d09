"""Test that every call ends in time where there is no channel, and whatever network and server do (C5)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator  # noqa: TC003  pytest reads the annotations of tests
from typing import Any, NamedTuple

import pytest

from psk.connectors import SupportsAsync, SupportsList
from psk.errors import ChannelUnavailableError, DeadlineError, PskError
from psk.wire import encode
from psk_testing.conformance.suite import Suite, rule
from psk_testing.network import Disturbance, FaultProxy
from psk_testing.operations import MISSING, all_calls, framed, has, pattern, same, value_of
from psk_testing.residue import FEW, piled_up, residue
from psk_testing.timing import GRACE_SECONDS, Clock, becomes, timed

TIMEOUT = 0.3
WORKS_AGAIN_WITHIN = 5.0
SIZE = 400_000
LARGE_SIZE = 16_000_000
"""More than the buffers of all sockets on the way hold."""
SETTLE_SECONDS = 0.3
"""Seconds for a transport to send what it still has after a fault is over."""
FAULTS = {"latency": 3 * TIMEOUT, "black-hole": 0, "half-open": 0, "drip": SIZE // 20, "corrupt": 97, "freeze": 0}
"""Faults that last while calls are made, with their amounts."""
CUTS = (1, 40, SIZE // 4)


SILENT = frozenset({"put", "put_batch", "aput", "fulfil", "reserve", "evict", "evict_batch", "aevict", "clear"})
"""Calls that may succeed although there is no channel: some make it, others have nothing to say about an object."""


class Outcome(NamedTuple):
    """The result of a call: what it returned or raised, and the seconds it took."""

    value: Any
    error: BaseException | None
    seconds: float


class Faults(Suite):
    """Test the connector where its channel is missing, and beside a `Disturbance`."""

    @pytest.fixture
    def unreachable_uri(self) -> str | None:
        """The URI of a channel that is not there, as of a missing bucket or a wrong port; None skips its test."""
        return None

    @rule(
        "C5",
        "C22",
        fix="tell what the channel says of itself from what it says of an object: `ChannelUnavailableError`, not None",
    )
    def test_a_channel_that_is_not_there_is_an_error(
        self, unreachable_uri: str | None, opener: Callable[[str], Any]
    ) -> None:
        if unreachable_uri is None:
            pytest.skip("the suite has no fixture `unreachable_uri`: a missing bucket or directory, or a wrong port")
        before = residue()
        try:
            opened = opener(unreachable_uri)
        except (ChannelUnavailableError, DeadlineError):
            return  # said as early as can be
        calls = {name: lambda call=call: call(timeout=TIMEOUT) for name, call in all_calls(opened).items()}
        with timed() as clock:
            outcomes = at_once({name: call for name, call in calls.items() if name not in SILENT})
            told = {name: outcome.value for name, outcome in outcomes.items() if outcome.error is None}
            outcomes |= at_once({"put": calls["put"]})
            key = outcomes["put"].value
            kept = key is None or opened.get(key) is not None
            outcomes |= at_once({name: calls[name] for name in SILENT & set(calls) - {"put"}})
        opened.close()
        assert complaints(outcomes, clock, damaged=True) == []
        assert told == {}, "as if the channel were there"
        assert kept, "what was put is not there"
        assert piled_up(before) == []

    @pytest.fixture
    def server(self) -> tuple[str, int] | None:
        """Host and port of the server that connectors under test speak to; None skips the tests of faults."""
        return None

    def uri_through(self, host: str, port: int) -> str:  # noqa: ARG002  for those that have one
        """Return the URI of a channel whose server is reached by another address: that of a proxy."""
        pytest.fail(
            f"{type(self).__name__} has a server and no method `uri_through(host, port)` that returns the URI of a"
            " channel whose server is reached there",
            pytrace=False,
        )

    @pytest.fixture
    def proxy(self, server: tuple[str, int] | None) -> Iterator[Disturbance]:
        """The source of faults: a `FaultProxy` in front of `server`, unless the suite overrides it."""
        if server is None:
            pytest.skip("the suite has no server: a fixture `server` with host and port, or another `proxy`")
        with FaultProxy(server) as proxy:
            yield proxy

    @pytest.fixture
    def remote_uri(self, proxy: Any) -> str:
        """The URI of a channel that `proxy` can disturb."""
        return self.uri_through(*proxy.address)

    @pytest.fixture
    def remote(self, proxy: Disturbance, remote_uri: str, opener: Callable[[str], Any]) -> Iterator[Any]:
        """A connector that `proxy` can disturb, with connections that have been used."""
        opened = opener(remote_uri)
        opened.evict(opened.put(encode("warm")))
        yield opened
        proxy.calm()
        if "reset" in proxy.faults:
            proxy.cause("reset")  # connections on which something was swallowed
        if has(opened, SupportsList):
            opened.clear()
        opened.close()

    @rule("C5", "C21", "C22", fix="set the time that is left anew before each send and receive, also within one answer")
    @pytest.mark.parametrize("fault", FAULTS)
    def test_every_call_ends_in_time(self, proxy: Disturbance, remote: Any, fault: str) -> None:
        skip_unless_causes(proxy, fault)
        key = remote.put(framed([pattern(SIZE)]))
        calls = faulty_calls(remote, key)
        proxy.cause(fault, FAULTS[fault])
        with timed() as clock:
            outcomes = at_once(calls)
        proxy.calm()
        assert complaints(outcomes, clock, damaged=fault == "corrupt") == []
        check_works_again(remote, key)

    @rule("C5", "C21", "C22", fix="take the end of a connection for what it is, and connect anew while time is left")
    @pytest.mark.parametrize("cut", CUTS)
    def test_a_connection_is_cut(self, proxy: Disturbance, remote: Any, cut: int) -> None:
        skip_unless_causes(proxy, "cut")
        key = remote.put(framed([pattern(SIZE)]))
        outcomes = {}
        with timed() as clock:
            for name, call in faulty_calls(remote, key).items():
                proxy.cause("cut", cut)
                outcomes.update(at_once({name: call}))
        proxy.calm()
        assert complaints(outcomes, clock) == []
        check_works_again(remote, key)

    @rule(
        "C5",
        "C22",
        fix="raise `ChannelUnavailableError` where the server cannot be reached, and try anew at the next call",
    )
    @pytest.mark.parametrize("fault", ["refuse", "kill"])
    def test_a_server_is_gone_and_comes_back(
        self, proxy: Disturbance, remote: Any, remote_uri: str, opener: Callable[[str], Any], fault: str
    ) -> None:
        skip_unless_causes(proxy, fault)
        key = remote.put(framed([pattern(SIZE)]))
        proxy.cause(fault)
        with timed() as clock:
            outcomes = at_once(faulty_calls(remote, key))
        assert complaints(outcomes, clock) == []
        assert isinstance(outcomes["get"].error, (ChannelUnavailableError, DeadlineError))
        with pytest.raises((ChannelUnavailableError, DeadlineError)):
            opener(remote_uri).get(key, timeout=TIMEOUT)
        proxy.calm()
        check_works_again(remote, key, kept=fault == "refuse")

    @rule("C5", fix="keep no connection on which a call has failed, and none whose server was gone meanwhile")
    def test_a_connection_that_died_unused_is_replaced(self, proxy: Disturbance, remote: Any) -> None:
        skip_unless_causes(proxy, "reset")
        for turn in range(3):
            proxy.cause("reset")
            key = remote.put(encode(turn), timeout=5)
            proxy.cause("reset")
            assert value_of(remote.get(key, timeout=5)) == turn

    @rule("C7", fix="hold no lock while bytes move; give each call a connection of its own")
    def test_a_slow_transfer_holds_nobody_up(self, proxy: Disturbance, remote: Any) -> None:
        skip_unless_causes(proxy, "drip")
        key = remote.put(framed([pattern(SIZE)]))
        proxy.cause("drip", SIZE // 20)
        slow = threading.Thread(target=outcome_of, args=(lambda: remote.get(key, timeout=5 * TIMEOUT),), daemon=True)
        slow.start()
        time.sleep(0.1)
        with timed() as clock:
            outcome = outcome_of(lambda: remote.exists(MISSING, timeout=TIMEOUT))
        assert slow.is_alive()
        assert outcome.error is None or isinstance(outcome.error, PskError)
        assert not clock.late(TIMEOUT)
        proxy.calm()
        if "reset" in proxy.faults:
            proxy.cause("reset")  # the slow transfer need not come to its end
        slow.join()

    @rule("C11", fix="close the connection of a call that failed")
    def test_calls_that_fail_keep_no_connections(self, proxy: Disturbance, remote: Any) -> None:
        fault = "half-open" if "half-open" in proxy.faults else "freeze"
        skip_unless_causes(proxy, fault)
        key = remote.put(framed([pattern(SIZE)]))
        before = residue()
        proxy.cause(fault)
        for _ in range(2 * FEW):
            assert isinstance(outcome_of(lambda: remote.get(key, timeout=0.05)).error, PskError)
        proxy.calm()
        if "reset" in proxy.faults:
            proxy.cause("reset")
        check_works_again(remote, key)
        assert piled_up(before) == []

    @rule("C17", fix="end a transfer with its call, or copy: the transport must keep no memory of the caller")
    def test_a_put_that_failed_sends_nothing_later(self, proxy: Disturbance, remote: Any) -> None:
        skip_unless_causes(proxy, "freeze")
        part = pattern(LARGE_SIZE)
        payload = framed([part])
        proxy.cause("freeze")
        outcome = outcome_of(lambda: remote.put(payload, timeout=TIMEOUT))
        assert outcome.error is None or isinstance(outcome.error, PskError)
        part[:] = bytes(LARGE_SIZE)
        proxy.calm()
        check_works_again(remote)
        becomes(lambda: remote.exists(payload.key, timeout=5), within=SETTLE_SECONDS, look_every=0.02)
        frames = remote.get(payload.key, timeout=5)
        assert frames is None or same(value_of(frames), [pattern(LARGE_SIZE)])

    @rule("C57", fix="never wait for the channel in the loop's own thread")
    def test_coroutines_never_block_the_loop(self, proxy: Disturbance, remote: Any) -> None:
        skip_unless_causes(proxy, "freeze")
        if not isinstance(remote, SupportsAsync):
            pytest.skip("no SupportsAsync, an optional capability")

        async def main() -> float:
            done = asyncio.create_task(remote.aget(MISSING, timeout=2 * TIMEOUT))
            longest, last = 0.0, time.monotonic()
            while not done.done():
                await asyncio.sleep(0.01)
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
            with pytest.raises(PskError):
                await done
            return longest

        proxy.cause("freeze")
        with timed() as clock:
            longest = asyncio.run(main())
        assert longest - clock.stalled < TIMEOUT


def skip_unless_causes(proxy: Disturbance, fault: str) -> None:
    """Skip the test that runs if its fault cannot be caused here, and say so."""
    if fault not in proxy.faults:
        pytest.skip(f"{type(proxy).__name__} cannot cause {fault!r}, only {', '.join(sorted(proxy.faults))}")


def faulty_calls(connector: Any, key: str) -> dict[str, Callable[[], object]]:
    """Return the calls of a connector, each with a deadline; one of them gets a large object."""
    calls: dict[str, Callable[[], object]] = {}
    for name, call in all_calls(connector).items():
        # Coroutines have a test of their own, and the large object shall stay.
        if name not in {"aput", "aget", "aexists", "aevict", "clear"}:
            calls[name] = lambda call=call: call(timeout=TIMEOUT)  # type: ignore[misc]  # the default binds it
    calls["get"] = lambda: connector.get(key, timeout=TIMEOUT)
    calls["exists"] = lambda: connector.exists(key, timeout=TIMEOUT)
    calls["put of a large object"] = lambda: connector.put(framed([pattern(SIZE)]), timeout=TIMEOUT)
    return calls


def outcome_of(call: Callable[[], object]) -> Outcome:
    """Call, and return the result."""
    start = time.monotonic()
    try:
        value = call()
    except BaseException as error:  # noqa: BLE001  judged by the test
        return Outcome(None, error, time.monotonic() - start)
    return Outcome(value, None, time.monotonic() - start)


def at_once(calls: dict[str, Callable[[], object]]) -> dict[str, Outcome]:
    """Make all calls at the same time; one that does not end at all has no outcome."""
    outcomes: dict[str, Outcome] = {}

    def run(name: str, call: Callable[[], object]) -> None:
        outcomes[name] = outcome_of(call)

    threads = [threading.Thread(target=run, args=item, daemon=True) for item in calls.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + WORKS_AGAIN_WITHIN
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return {name: outcomes.get(name) or Outcome(None, None, float("inf")) for name in calls}


def complaints(outcomes: dict[str, Outcome], clock: Clock, *, damaged: bool = False) -> list[str]:
    """List what calls must not do: end late, in an error that is none of psk's, or in a wrong value.

    Args:
        outcomes: What came of each call.
        clock: What measured them.
        damaged: Whether answers were damaged, so that no more can be asked than that nobody gets a wrong object.
    """
    found = []
    for name, outcome in outcomes.items():
        if outcome.seconds - clock.stalled > TIMEOUT + GRACE_SECONDS:
            found.append(f"{name} took {outcome.seconds:.2f} s, with timeout={TIMEOUT}")
        elif outcome.error is not None:
            if not isinstance(outcome.error, PskError):
                found.append(f"{name} raised {outcome.error!r}, which is none of psk.errors")
        elif name == "get" and (wrong := what_is_wrong(outcome.value, damaged=damaged)):
            found.append(f"get returned {wrong}")
        elif name == "exists" and not outcome.value and not damaged:
            found.append("exists said that the object is not there")
    return found


def what_is_wrong(frames: Any, *, damaged: bool) -> str:
    """Say what is wrong with the frames of the large object; empty for nothing."""
    try:
        if frames is not None:
            return "" if value_of(frames) == [pattern(SIZE)] else "another value"
    except PskError as error:
        return "" if damaged else f"what cannot be read: {error}"
    return "" if damaged else "None, although the object is there"


def check_works_again(connector: Any, key: str = MISSING, *, kept: bool = True) -> None:
    """Make sure that a connector works soon after a fault is over.

    Args:
        connector: The connector.
        key: The large object, or `MISSING`.
        kept: Whether the object must still be there.
    """
    deadline = time.monotonic() + WORKS_AGAIN_WITHIN
    outcome = outcome_of(lambda: connector.get(key, timeout=1))
    while outcome.error is not None and time.monotonic() < deadline:
        time.sleep(0.02)
        outcome = outcome_of(lambda: connector.get(key, timeout=1))
    assert outcome.error is None
    if key != MISSING and (kept or outcome.value is not None):
        assert same(value_of(outcome.value), [pattern(SIZE)])
    assert value_of(connector.get(connector.put(encode("works again"), timeout=5), timeout=5)) == "works again"

"""Test the channel from several processes, also forked and killed ones (C8, C14, C34, C36, C38)."""

from __future__ import annotations

import base64
import pickle
import random  # noqa: TC003  pytest reads the annotations of tests
import time
from collections.abc import Callable  # noqa: TC003  as above
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

import pytest

from psk.connectors import SupportsList, SupportsReserve, SupportsTake, SupportsWait, format_uri
from psk.errors import ProxyResolveError
from psk.store import Store, store_registration
from psk.wire import encode, new_object_id
from psk_testing.concurrency import beside, in_forked_child, in_forked_children
from psk_testing.conformance.suite import Suite, rule
from psk_testing.operations import has, pattern, plain_key, same, value_of
from psk_testing.peer import content, is_right, payload_of
from psk_testing.spawned import PeerError, Spawned, all_at_once

PROCESSES = 3
LONGEST_LIFE = 0.03
"""Seconds after its first object at which a writer is killed at the latest: while it puts the second or third."""


class Processes(Suite):
    """Test the channel from several processes."""

    @pytest.fixture
    def shared_uri(self, connector: Any) -> str:
        """The URI by which another process opens the channel; skips the test where none can."""
        if not self.crosses_processes:
            pytest.skip(f"{connector.scheme} belongs to one process, says `crosses_processes` of the suite")
        return format_uri(connector.config())

    @rule("C36", fix="declare the entry point `connector.<scheme>`, and put all that is needed into `config()`")
    def test_a_proxy_resolves_in_another_process(self, connector: Any) -> None:
        value = bytes(pattern(100_000))
        proxy = Store("conformance", connector).proxy(value)
        with Spawned("resolve", proxy=base64.b64encode(pickle.dumps(proxy)).decode()) as peer:
            try:
                assert peer.answer() == sha256(value).hexdigest()
            except PeerError as error:
                # Says why, at least, where the channel belongs to one process.
                if self.crosses_processes or "PskError" not in error.classes:
                    raise

    @rule("C5", "C36", "C37", fix="rebuild everything from `config()`; a socket or a lock cannot travel")
    def test_another_process_opens_the_channel(self, connector: Any, shared_uri: str) -> None:
        keys = [connector.put(payload_of(new_object_id())) for _ in range(5)]
        pickled = base64.b64encode(pickle.dumps(connector)).decode()
        with Spawned("rebuild", connector=pickled, uri=shared_uri, keys=keys) as peer:
            assert peer.answer() == [True] * 10

    @rule(
        "C15",
        "C58",
        needs=(SupportsReserve,),
        fix="decide between writers in the channel itself; a lock of this process is not enough",
    )
    def test_of_many_writing_processes_one_wins(
        self, connector: Any, shared_uri: str, count: Callable[[str], int]
    ) -> None:
        keys = [plain_key() for _ in range(count("process_races"))]
        with ExitStack() as stack:
            jobs = [
                Spawned("race", uri=shared_uri, object_ids=keys, text=f"text {number % 2}")
                for number in range(PROCESSES)
            ]
            answers = all_at_once([stack.enter_context(job) for job in jobs])
        for number, key in enumerate(keys):
            won = [answer[number] for answer in answers]
            # Writers of the same payload all succeed: theirs is one put.
            assert won in ([True, False, True], [False, True, False])
            assert value_of(connector.get(key)) == f"text {won.index(True)}"

    @rule("C47", needs=(SupportsTake,), fix="claim by one atomic step of the channel, for all processes")
    def test_a_take_has_one_winner_among_processes(
        self, connector: Any, shared_uri: str, count: Callable[[str], int]
    ) -> None:
        keys = [connector.put(payload_of(new_object_id())) for _ in range(count("process_races"))]
        with ExitStack() as stack:
            jobs = [Spawned("take", uri=shared_uri, keys=keys, claim=f"claim {number}") for number in range(PROCESSES)]
            answers = all_at_once([stack.enter_context(job) for job in jobs])
        assert sorted(key for answer in answers for key in answer) == sorted(keys)

    @rule("C42", needs=(SupportsWait,), fix="let the channel notify, not this process: the put may come from another")
    def test_wait_wakes_up_for_another_process(self, connector: Any, shared_uri: str) -> None:
        payload = payload_of(new_object_id())
        with Spawned("wait", uri=shared_uri, key=payload.key) as peer:
            peer.await_ready()
            time.sleep(0.05)
            connector.put(payload)
            assert peer.answer() == [payload.key]

    @rule("C7", "C21", "C22", "C29", fix="share nothing between processes but the channel's own atomic steps")
    def test_processes_beside_each_other_lose_and_mix_nothing(
        self, connector: Any, shared_uri: str, count: Callable[[str], int], chance: random.Random
    ) -> None:
        options = {"uri": shared_uri, "turns": count("process_turns"), "shared": new_object_id().hex()[:28]}
        with ExitStack() as stack:
            jobs = [Spawned("mix", seed=chance.randrange(2**32), **options) for _ in range(PROCESSES)]
            answers = all_at_once([stack.enter_context(job) for job in jobs])
        assert [wrong for answer in answers for wrong in answer["wrong"]] == []
        mine = [key for answer in answers for key in answer["mine"]]
        assert [key for key in mine if not is_right(connector.get(key), key)] == []
        if has(connector, SupportsList):
            assert set(mine) <= set(connector.keys())

    @rule("C13", "C14", "C31", "C38", fix="write under a temporary name and make the object visible by one step")
    def test_a_killed_writer_leaves_whole_objects_or_none(
        self,
        connector: Any,
        shared_uri: str,
        opener: Callable[[str], Any],
        count: Callable[[str], int],
        chance: random.Random,
    ) -> None:
        standing = connector.put(payload_of(new_object_id()))
        begun: set[str] = set()
        done: set[str] = set()
        with Spawned("hold", uri=shared_uri) as holder:
            holder.await_ready()
            for _ in range(-(-count("killed_writers") // PROCESSES)):
                for line in killed_writers(shared_uri, chance):
                    said, _, key = line.partition(" ")
                    {"begun": begun, "done": done}[said].add(key)
            # The next to open the channel clears up behind the dead, and leaves the living alone.
            after = opener(shared_uri)
            holder.start()
            assert holder.answer() is True
        there = {key for key in begun if check_whole(after.get(key), key)}
        assert is_right(after.get(standing), standing)
        if "host" in after.durabilities:
            assert done <= there
        if has(after, SupportsList):
            assert begun & {key[:32] for key in after.keys()} == there  # noqa: SIM118  no dictionary
        # Nor does half an object stand in the way of the whole one.
        assert all(is_right(after.get(after.put(payload_of(bytes.fromhex(key)))), key) for key in begun)
        after.close()

    @rule("C8", fix="notice a change of `os.getpid()`, and open what this process needs anew, or refuse")
    def test_a_forked_child_can_use_it_or_is_refused(self, connector: Any, count: Callable[[str], int]) -> None:
        pytest.importorskip("fcntl", reason="there is no fork on this system")
        key = connector.put(encode("from the parent"))
        for number in range(count("forks")):
            calls = {
                "get": lambda: value_of(connector.get(key)),
                "exists": lambda: connector.exists(key),
                "put": lambda number=number: value_of(connector.get(connector.put(encode(number)))),
                "evict": lambda: connector.evict(connector.put(encode("brief"))),
                "close": connector.close,
            }
            right = {"get": "'from the parent'", "exists": "True", "put": f"{number}", "evict": "None", "close": "None"}
            refused = dict.fromkeys(calls, "ForkedConnectorError")
            outcomes = in_forked_child(calls)
            assert [name for name in calls if outcomes.get(name) not in {right[name], refused[name]}] == [], outcomes
            assert value_of(connector.get(key)) == "from the parent"

    @rule(
        "C8",
        fix="notice a change of `os.getpid()` wherever something is kept for the process: connections, locks that a"
        " thread of the parent may have held, and the list of what is already open",
    )
    def test_a_forked_pool_resolves_while_the_parent_goes_on(
        self, connector: Any, opener: Callable[[str], Any], count: Callable[[str], int]
    ) -> None:
        pytest.importorskip("fcntl", reason="there is no fork on this system")
        value = bytes(pattern(100_000))
        uri = format_uri(connector.config())
        store = Store("conformance", connector, cache_size=0)
        key = store.put(value)
        proxy = pickle.dumps(store.proxy_from_key(key))

        def resolve() -> bool:
            try:
                return same(bytes(pickle.loads(proxy)), value)  # noqa: S301  a proxy of our own
            except ProxyResolveError as error:
                raise (error.__cause__ or error) from None

        calls = {"resolve": resolve, "open anew": lambda: same(value_of(opener(uri).get(key)), value)}
        with store_registration(store), beside(lambda: same(store.get(key), value)):
            for _ in range(count("forks")):
                for outcomes in in_forked_children(calls, PROCESSES):
                    wrong = [name for name in calls if outcomes.get(name) not in {"True", "ForkedConnectorError"}]
                    assert wrong == [], outcomes

    @rule(
        "C8",
        "C34",
        fix="take nothing from a parent but what `os.fork` leaves usable, and end a child with its own exit code",
    )
    def test_forked_pools_resolve_and_every_process_ends_well(self, uri: str) -> None:
        pytest.importorskip("fcntl", reason="there is no fork on this system")
        with Spawned("fork", uri=uri) as peer:
            outcome = peer.answer()
            assert [line for line in peer.complaints().splitlines() if is_complaint(line)] == []
        right = {outcome["digest"], "ForkedConnectorError"}
        assert [outcome[pool] for pool in ("pool", "pool of a child") if not right.issuperset(outcome[pool])] == []
        assert len(outcome["pool of a child"]) == len(outcome["pool"])
        assert outcome["exit code of the child"] == 0

    @rule("C34", fix="stop threads by `atexit` or make them daemons, and let no finaliser wait, raise or take a lock")
    def test_a_process_ends_well_that_leaves_it_open(self, uri: str, count: Callable[[str], int]) -> None:
        for _ in range(-(-count("ends") // PROCESSES)):
            with ExitStack() as stack:
                jobs = [Spawned("leave", uri=uri, busy=number == 0) for number in range(PROCESSES)]
                for peer in [stack.enter_context(job) for job in jobs]:
                    assert peer.answer() is True
                    assert [line for line in peer.complaints().splitlines() if is_complaint(line)] == []


def killed_writers(uri: str, chance: random.Random) -> list[str]:
    """Start writers, kill each soon after its first object, and return what they had written."""
    lines = []
    with ExitStack() as stack:
        writers = [stack.enter_context(Spawned("write", uri=uri)) for _ in range(PROCESSES)]
        for writer in writers:
            lines += [writer.line(), writer.line()]
            time.sleep(chance.uniform(0, LONGEST_LIFE))
            lines += writer.kill()
    return lines


def is_complaint(line: str) -> bool:
    """Tell whether a line on standard error says that Python had to swallow something."""
    return line.startswith(("Traceback", "Exception ignored", "Fatal Python error"))


def check_whole(frames: Any, key: str) -> bool:
    """Tell whether there is an object, which must be a whole one."""
    if frames is None:
        return False
    assert same(value_of(frames), content(bytes.fromhex(key)))
    return True

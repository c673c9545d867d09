"""Lose, duplicate and kill at random: there are never two owners and never an orphan."""

import random
import time

import hops
import pytest

import psk
from faults.killer import Victim
from psk import get_factory
from psk_patterns import borrow, mut_borrow, owned_proxy, update

TTL, LONG, GRACE = 0.6, 2.0, 1.0
KINDS = ("file", "shm", "redis")


@pytest.fixture
def uris(open_channel):
    return [open_channel(kind).uri for kind in KINDS]


@pytest.mark.timeout(1800)
def test_transfers_leave_one_owner_at_most_and_no_orphan(uris, scale, seed):
    assert hops.run_transfers(uris, scale("patterns_ownership.transfers"), seed) == []


def test_two_owners_are_noticed(uris, seed):
    assert any("owners" in line for line in hops.run_transfers(uris[:1], 2, seed, patience=0.1, buggy=True))


def test_an_orphan_is_noticed(uris, seed, monkeypatch):
    monkeypatch.setattr(psk.Store, "renew", lambda store, key, ttl, **options: True)
    for name in ("put", "proxy"):
        made = getattr(psk.Store, name)
        monkeypatch.setattr(psk.Store, name, lambda *given, made=made, ttl=None, **options: made(*given, **options))
    complaints = hops.run_transfers(uris[:1], 1, seed, patience=0.1)
    assert any("orphan" in line or "still has" in line for line in complaints)


def own(report, uri, ttl, seed):
    """Own objects and do things with them: an owner's whole life."""
    chance = random.Random(seed)
    with psk.Store("owner", uri) as store:
        kept = []
        for _ in range(5 if ttl == TTL else 3):
            owner = owned_proxy(store, [1], ttl=ttl)
            report(get_factory(owner).key)
            kept.append(owner)
            act = chance.randrange(4)
            if act == 0:
                kept.append(borrow(owner))
            elif act == 1:
                writer = mut_borrow(owner)
                writer.append(2)
                update(writer)
                report(get_factory(owner).key)
            elif act == 2:
                owner.append(3)
                update(owner)
                report(get_factory(owner).key)
            time.sleep(0.03 * chance.random())
        report("ready")
        time.sleep(3600)


def exist(uri, keys):
    with psk.Store("checker", uri) as store:
        return sorted(key for key in {*keys} - {"ready"} if store.exists(key))


@pytest.mark.timeout(1800)
def test_objects_go_with_a_killed_owner_and_stay_with_a_living_one(uris, scale, seed):
    chance, count, complaints, objects = random.Random(seed), scale("patterns_ownership.killed_owners"), [], 0
    living = [(uri, hops.Peer(own, uri, LONG, chance.random())) for uri in uris]
    try:
        kept = []
        for uri, peer in living:
            assert peer.listen("ready", time.monotonic() + 30)
            kept.append((uri, exist(uri, [word for word, _ in peer.said])))
            assert len(kept[-1][1]) == 3
        begun, killed = time.monotonic(), 0
        while killed < count:
            wave = [uris[number % 3] for number in range(min(12, count - killed))]
            victims = [(uri, Victim(own, uri, TTL, chance.random())) for uri in wave]
            dead = [
                (uri, victim.kill(after=chance.choice([0.01, 0.1, TTL]) * chance.random())) for uri, victim in victims
            ]
            killed += len(dead)
            time.sleep(TTL + GRACE)
            for uri, keys in dead:
                objects += len({*keys} - {"ready"})
                complaints += [f"{key} of a killed owner is left in {uri}" for key in exist(uri, keys)]
            complaints += [f"a living owner lost {keys} in {uri}" for uri, keys in kept if exist(uri, keys) != keys]
        time.sleep(max(begun + LONG + 0.2 - time.monotonic(), 0))
        complaints += [f"a living owner lost {keys} in {uri}" for uri, keys in kept if exist(uri, keys) != keys]
    finally:
        for _, peer in living:
            peer.kill()
    complaints += [f"{uri} still has {keys}" for uri in uris if (keys := hops.left(uri, LONG + GRACE))]
    assert complaints == []
    print(f"{killed} owners killed, which had {objects} objects")  # noqa: T201  for the evidence

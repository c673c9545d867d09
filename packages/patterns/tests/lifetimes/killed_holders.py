"""Kill holders at random: their objects are removed, and those of living holders stay."""

from __future__ import annotations

import random
import time
from collections import deque

import psk
from faults.killer import Victim
from psk_patterns import LeaseLifetime

AT_ONCE = 6
#: Seconds of the lease of those that are killed, and of those that live throughout.
BRIEF, LONG = 0.5, 2.1
GRACE = 1.0


class Trial:
    """Kill holders at random points and watch what becomes of their objects and of those of living ones.

    Args:
        uri: A channel that is reached from other processes, and has nothing in it.
        count: How many holders are killed.
        seed: Of the random points.
        begin: Makes the lifetime of a holder from store and lease: another one is a planted bug.
    """

    def __init__(self, uri, count, seed, begin=LeaseLifetime):
        self.uri = uri
        self.count = count
        self.chance = random.Random(seed)
        self.begin = begin
        self.complaints = []
        self.killed = self.objects = 0

    def run(self):
        """Give complaints, none if every promise was kept."""
        with psk.Store("watcher", self.uri) as store:
            living = [Victim(self.hold, LONG, 0.1) for _ in range(2)]
            self.await_objects(store, 5 * len(living))
            kept, first_end = store.list(), time.monotonic() + LONG
            try:
                self.kill_all(store, kept)
                # They have not shown anything before a lease of theirs would have been over.
                time.sleep(max(first_end + 0.1 - time.monotonic(), 0))
            finally:
                self.check_living(store, kept)
                for victim in living:
                    victim.kill()
            left = self.left_after(store, LONG + GRACE)
            self.complaints += [f"object {key} of nobody is left" for key in left]
        return self.complaints

    def kill_all(self, store, kept):
        alive, dead = deque(), deque()
        for _ in range(self.count):
            life = self.chance.choice([0.05, 0.3, 1.5 * BRIEF]) * self.chance.random()
            alive.append((time.monotonic() + life, Victim(self.hold, BRIEF, 0.02)))
            if len(alive) >= AT_ONCE:
                self.end_one(alive, dead)
            self.check_dead(store, dead, kept, patient=False)
        while alive:
            self.end_one(alive, dead)
        self.check_dead(store, dead, kept, patient=True)

    def end_one(self, alive, dead):
        due, victim = min(alive, key=lambda one: one[0])
        alive.remove((due, victim))
        lines = victim.kill(max(due - time.monotonic(), 0))
        self.killed += 1
        self.objects += len(lines)
        dead.append((time.monotonic() + BRIEF + GRACE, lines))

    def check_dead(self, store, dead, kept, *, patient):
        while dead and (patient or dead[0][0] <= time.monotonic()):
            due, keys = dead.popleft()
            time.sleep(max(due - time.monotonic(), 0))
            self.complaints += [f"object {key} of a killed holder is left" for key in keys if store.exists(key)]
            self.check_living(store, kept)

    def check_living(self, store, kept):
        gone = [key for key in kept if not store.exists(key)]
        self.complaints += [f"object {key} of a living holder is gone" for key in gone]
        kept[:] = [key for key in kept if key not in gone]

    def left_after(self, store, seconds):
        """List what is left after some time: also objects of whose keys their holder could not tell any more."""
        deadline = time.monotonic() + seconds
        while (left := store.list()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def await_objects(self, store, count):
        deadline = time.monotonic() + 20
        while len(store.list()) < count:
            assert time.monotonic() < deadline, "the living holders did not begin"
            time.sleep(0.01)

    def hold(self, report, ttl, pause):
        """Put objects and keep them alive: a holder's whole life."""
        chance = random.Random()
        with psk.Store("holder", self.uri) as store:
            lease = self.begin(store, ttl)
            for number in range(8 if ttl == BRIEF else 3):
                if number % 3 == 2:  # attached later
                    key = store.put(number, ttl=ttl)
                    lease.add_key(key)
                    report(key)
                elif number % 3 == 1:
                    for key in store.put_batch([number] * 3, lifetime=lease):
                        report(key)
                else:
                    report(store.put(bytes(chance.randrange(200_000)), lifetime=lease))
                time.sleep(pause * chance.random())
            time.sleep(3600)

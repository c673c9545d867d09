"""Move objects between processes and check that each has one owner at most and none is orphaned."""

from __future__ import annotations

import os
import pickle
import random
import select
import signal
import time

import psk
from faults.killer import Victim
from psk import get_factory
from psk_patterns import owned_proxy
from psk_patterns.errors import ReferenceInvalidError
from psk_patterns.ownership import accept, offer

TTL, WINDOW, GRACE = 1.0, 0.4, 1.0
#: Seconds after which every process of a transfer that lives knows whether it is the owner.
VERDICT = WINDOW + TTL + 4.0
STEPS = ("put", "reserve", "fulfil", "get", "exists", "renew", "evict")


def die_at_step(number, *, before):
    """Kill this process before or after the n-th thing it does with a channel."""
    left = number

    def dying(real):
        def step(store, *args, **options):
            nonlocal left
            left -= 1
            if left == 0 and before:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(store, *args, **options)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return step

    for name in STEPS:
        setattr(psk.Store, name, dying(getattr(psk.Store, name)))


def decide_for_everybody(self, verdict, store=None):
    """Believe whatever one says: a planted bug."""
    notices = store or self.notice.store()
    return notices.exists(self.notice.reference.key)


def clear_nothing(self, store):
    """Leave the offer to the next one: the other half of the planted bug."""


class Peer:
    """A process that takes part in a transfer, and what it has said so far."""

    def __init__(self, run, *arguments):
        self.victim = Victim(run, *arguments)
        self.said = []
        self._rest = b""
        self.ended = False

    def listen(self, word, deadline):
        """Wait until it has said a word, or has died."""
        while not self.heard(word) and not self.ended:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.victim._pipe], [], [], left)[0]:
                return False
            data = os.read(self.victim._pipe, 65536)
            self.ended = not data
            *lines, self._rest = (self._rest + data).split(b"\n")
            self.said += [line.decode().partition(" ")[::2] for line in lines]
        return self.heard(word)

    def heard(self, word):
        """Give what it said with a word, or None."""
        return next((rest or word for said, rest in self.said if said == word), None)

    def kill(self):
        """End it, and keep its last words."""
        os.kill(self.victim.pid, signal.SIGKILL)
        self.listen("nothing more", time.monotonic() + 10)
        os.close(self.victim._pipe)
        os.waitpid(self.victim.pid, 0)


class Transfer:
    """One object that moves from one process to another, with something that goes wrong.

    Args:
        uri: The channel.
        chance: A random generator that decides what goes wrong.
        buggy: Whether each process believes whatever it wants.
    """

    def __init__(self, uri, chance, *, buggy=False):
        self.uri = uri
        self.buggy = buggy
        self.copies = 3 if buggy else chance.choice([0, 1, 1, 2, 3])
        self.delay = 0 if buggy else chance.choice([0, 0, 0.2, WINDOW, WINDOW + 0.2])
        fault = "none" if buggy else chance.choice(["none", "sender", "receiver", "both"])
        self.dropped = chance.random() < 0.3 and not buggy
        self.kill_sender = (chance.randrange(1, 12), chance.random() < 0.5) if fault in {"sender", "both"} else None
        self.kill_receiver = (chance.randrange(1, 8), chance.random() < 0.5) if fault in {"receiver", "both"} else None
        self.sender = self.started = None
        self.receivers = []
        self.key = None

    def __str__(self):
        plan = ("copies", "delay", "dropped", "kill_sender", "kill_receiver")
        said = [peer.said and [word for word, _ in peer.said] for peer in (self.sender, *self.receivers)]
        return f"{self.uri} { ({name: getattr(self, name) for name in plan}) } {said}"

    def begin(self):
        self.sender = Peer(self.send)

    def deliver(self):
        self.sender.listen("message", time.monotonic() + 20)
        self.started = time.monotonic()
        self.key = self.sender.heard("key")

    def receive_all(self):
        message = self.sender.heard("message")
        time.sleep(max(self.started + self.delay - time.monotonic(), 0))
        copies = self.copies if message else 0
        self.receivers = [Peer(self.receive, bytes.fromhex(message), number) for number in range(copies)]

    def verdicts(self):
        """Wait until all that live know; give complaints."""
        deadline = time.monotonic() + VERDICT
        # A sender that dropped its proxy has nothing to tell.
        for peer in (*self.receivers, *([] if self.dropped else [self.sender])):
            peer.listen("verdict", deadline)
        if self.kill_sender or self.kill_receiver or self.dropped:
            return []
        return [] if self.owners() else [f"nobody owns what was neither lost for good nor killed: {self}"]

    def owners(self):
        return [peer for peer in (self.sender, *self.receivers) if peer.heard("verdict") == "owner"]

    def end(self):
        """Kill everybody; give complaints."""
        for peer in (self.sender, *self.receivers):
            peer.kill()
        self.started = time.monotonic()
        failures = [text for peer in (self.sender, *self.receivers) for word, text in peer.said if word == "failed:"]
        complaints = [f"{text}: {self}" for text in failures]
        if len(self.owners()) > 1:
            complaints.append(f"{len(self.owners())} owners: {self}")
        return complaints

    def send(self, report):
        self.prepare(self.kill_sender)
        with psk.Store("sender", self.uri) as store:
            proxy = owned_proxy(store, [1], ttl=TTL, window=WINDOW)
            report(f"key {get_factory(proxy).key}")
            message = pickle.dumps(proxy)
            report(f"message {message.hex()}")
            if self.dropped:
                del proxy
                time.sleep(3600)
            report(f"verdict {self.outcome(proxy)}")
            time.sleep(3600)

    def receive(self, report, message, number):
        self.prepare(self.kill_receiver if number == 0 else None)
        proxy = pickle.loads(message)
        report(f"verdict {self.outcome(proxy)}")
        time.sleep(3600)

    @staticmethod
    def outcome(proxy):
        """Ask until it is known who the owner is."""
        while True:
            try:
                accept(proxy)
                assert proxy[0] == 1
            except ReferenceInvalidError as error:
                if "offers it" not in str(error):
                    return "other"
            else:
                return "owner"
            time.sleep(0.02)

    def prepare(self, fatal):
        if self.buggy:
            offer.Offer.decide, offer.Offer.clear = decide_for_everybody, clear_nothing
        if fatal:
            die_at_step(fatal[0], before=fatal[1])


def run_transfers(uris, count, seed, *, at_once=12, patience=2 * (WINDOW + 2 * TTL) + GRACE, **options):
    """Run transfers over several channels; give complaints, and how many each channel had."""
    chance, complaints, done = random.Random(seed), [], []
    while len(done) < count:
        wave = [Transfer(uris[i % len(uris)], chance, **options) for i in range(min(at_once, count - len(done)))]
        for transfer in wave:
            transfer.begin()
        for transfer in wave:
            transfer.deliver()
        for transfer in sorted(wave, key=lambda one: one.delay):
            transfer.receive_all()
        for transfer in wave:
            complaints += transfer.verdicts()
        for transfer in wave:
            complaints += transfer.end()
        done += wave
        for transfer in wave:
            time.sleep(max(transfer.started + TTL + GRACE - time.monotonic(), 0))
            complaints += [f"an orphan: {transfer}" for key in [transfer.key] if key and holds(transfer.uri, key)]
    complaints += [f"{uri} still has {keys}" for uri in uris if (keys := left(uri, patience))]
    return complaints


def holds(uri, key):
    """Tell whether there is an object."""
    with psk.Store("checker", uri) as store:
        return store.exists(key)


def left(uri, seconds):
    """List what is left after some time at most."""
    deadline = time.monotonic() + seconds
    with psk.Store("checker", uri) as store:
        while (keys := store.list()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return keys

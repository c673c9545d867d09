"""Connectors with one bug each against the rules of the contract's second edition."""

import socket
import time

from psk_channels import MailConnector, PlacedConnector

from psk.connectors import Frames, Payload
from psk.connectors.local import LocalAllocation, LocalConnector, Stored, copy_in
from psk.connectors.watching import ToldWatcher
from psk.errors import ChannelFullError, DeadlineError, KeyExistsError


class ContactingAddresses(LocalConnector):
    def get(self, key, **options):
        if isinstance(key, str) and key.rpartition(":")[2].isdigit():
            socket.create_connection(("127.0.0.1", int(key.rpartition(":")[2])), 0.2).close()
        return super().get(key, **options)


class LookingFirst(LocalConnector):
    def put(self, payload, **options):
        held = self._writable().objects.get(payload.key)
        if held is not None and b"".join(held.buffers) != payload.tobytes():
            raise KeyExistsError(f"a different object is under {payload.key}", remedy="use a new id")
        time.sleep(0.001)
        self._space.objects[payload.key] = copy_in(payload)
        return payload.key


class NamingNoPlace(LocalConnector):
    def uri(self):
        return "local://"


class AnsweringByTurns(LocalConnector):
    instances = 0

    def __init__(self, name=None):
        super().__init__(name)
        type(self).instances += 1
        self.leaves_host = bool(self.instances % 2)


class LookingAllTheTime(LocalConnector):
    look_interval = 0.3

    def wait(self, keys, *, timeout=None):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := [key for key in keys if self.exists(key)]:
                return found
            time.sleep(0.002)
        raise DeadlineError("nothing came")


class TrustingSizes(LocalConnector):
    def get_batch(self, keys, *, sizes=None, **options):
        found = super().get_batch(keys, **options)
        return [frames and cut(frames, size) for frames, size in zip(found, sizes or [None] * len(keys), strict=True)]


class TrustingTheSize(LocalConnector):
    def take(self, key, claim, *, size=None, **options):
        frames = super().take(key, claim, **options)
        return frames and cut(frames, size)


def cut(frames, size):
    return frames if size is None else Frames((b"".join(frames.buffers)[:size],))


class AllocatingInTheOpen(LocalConnector):
    def allocate(self, nbytes, **options):
        allocation = super().allocate(nbytes, **options)
        self._space.objects["0" * 31 + "1"] = Stored((allocation.buffer,))
        return allocation


class CommittingAnything(LocalConnector):
    def allocate(self, nbytes, **options):
        return Unparsed(self, nbytes)


class Unparsed(LocalAllocation):
    def commit(self, **options):
        whole = bytes(self.buffer)
        self._connector.check_open()
        self._connector._space.objects.setdefault(whole[16:32].hex(), Stored((whole,)))
        return whole[16:32].hex()


class LeavingTheBuffer(LocalConnector):
    def allocate(self, nbytes, **options):
        return Shared(self, nbytes)


class Shared(LocalAllocation):
    def commit(self, **options):
        payload = Payload.parse(self.buffer)
        return self._connector.put(payload, **options) and self.share(payload)

    def share(self, payload):
        self._connector._space.objects[payload.key] = Stored((self.buffer,))
        return payload.key


class KeepingWhatIsAborted(LocalConnector):
    def allocate(self, nbytes, **options):
        return Kept(self, nbytes)


class Kept(LocalAllocation):
    def abort(self):
        """Leave the buffer to who has it."""


class CountingObjectsAlone(LocalConnector):
    """Has room for three million bytes of objects, and as much again for allocations."""

    def put(self, payload, **options):
        held = sum(frames.nbytes for frames in self._writable().objects.values())
        if payload.key not in self._space.objects and held + payload.nbytes > 3_000_000:
            raise ChannelFullError(f"no room for {payload.nbytes} bytes", remedy="evict objects")
        return super().put(payload, **options)


class Watching(LocalConnector):
    def watcher(self):
        return self.kind(self._writable(), self.check_open)


class Telling:
    """Stand for the space of a watcher, which cannot be patched."""

    def __init__(self, space):
        self.present, self.tell, self.tell_no_more = space.present, space.tell, space.tell_no_more


class MissingWhatIsThere(LocalConnector):
    def watcher(self):
        return Later(self._writable(), self.check_open)


class CallingForTheGone(LocalConnector):
    def watcher(self):
        space = Telling(self._writable())
        space.present = lambda keys: keys
        return Later(space, self.check_open)


class Later(ToldWatcher):
    """Tells nothing of what is there already."""

    def add(self, key, callback):
        super().add(key, callback)
        self._arrived.clear()


class WakingNobody(Watching):
    class kind(ToldWatcher):  # noqa: N801  what the connector above makes
        def fileno(self):
            return self.nothing().fileno()

        def nothing(self):
            if not hasattr(self, "ends"):
                self.ends = socket.socketpair()
            return self.ends[0]


class LookingAtEveryKey(Watching):
    class kind(ToldWatcher):  # noqa: N801  what the connector above makes
        def dispatch(self):
            for key in self._arrivals:
                self._source.present([key])
            return super().dispatch()


class SayingNoneMeanwhile(MailConnector):
    def fetch(self, name, deadline):
        return self.channel.arrived.get(name)


class DroppingWhatIsUnderWay(MailConnector):
    delay = 0.05

    def close(self, timeout=None):
        if not self._is_closed:
            for name in self.mine:
                self.channel.accepted.pop(name, None)
        super().close(timeout)


class ListingEveryPlace(PlacedConnector):
    def keys(self, *, timeout=None):
        return (f"{key}@{place}" for place, member in self.members.items() for key in member.keys(timeout=timeout))


class LookingEverywhere(PlacedConnector):
    def get(self, key, *, size=None, timeout=None):
        if "@" in key:
            return super().get(key, timeout=timeout)
        found = [super(LookingEverywhere, self).get(f"{key}@{place}", timeout=timeout) for place in self.members]
        return next(filter(None, found), None)


LOCAL = {
    ContactingAddresses: ("test_a_key_makes_nobody_contact_an_address", "C4"),
    LookingFirst: ("test_of_two_writers_at_the_same_instant_one_wins", "C58"),
    NamingNoPlace: ("test_its_uri_opens_the_channel", "C59"),
    AnsweringByTurns: ("test_a_rebuilt_connector_promises_the_same", "C32", "C33"),
    LookingAllTheTime: ("test_a_wait_looks_no_more_often_than_is_declared", "C61"),
    TrustingSizes: ("test_wrong_sizes_change_nothing", "C25"),
    TrustingTheSize: ("test_a_wrong_size_changes_no_take", "C25"),
    AllocatingInTheOpen: ("test_what_is_received_is_an_object_from_the_commit_on", "C65"),
    CommittingAnything: ("test_what_is_no_payload_is_not_stored", "C66"),
    LeavingTheBuffer: ("test_what_is_written_after_the_commit_is_not_seen", "C17", "C66"),
    KeepingWhatIsAborted: ("test_what_is_aborted_leaves_nothing", "C67"),
    CountingObjectsAlone: ("test_allocations_count_towards_the_limit", "C65"),
    MissingWhatIsThere: ("test_a_watcher_calls_for_what_is_there_and_for_what_comes", "C68"),
    CallingForTheGone: ("test_what_has_gone_is_not_called_for", "C68"),
    WakingNobody: ("test_a_watcher_calls_for_what_is_there_and_for_what_comes", "C69"),
    LookingAtEveryKey: ("test_a_dispatch_costs_the_same_with_many_keys", "C69"),
}
MAIL = {
    SayingNoneMeanwhile: ("test_what_was_accepted_is_never_missing", "C62"),
    DroppingWhatIsUnderWay: ("test_close_completes_what_was_accepted", "C63"),
}
PLACED = {
    ListingEveryPlace: ("test_an_instance_speaks_for_its_own_place", "C60"),
    LookingEverywhere: ("test_an_instance_speaks_for_its_own_place", "C60"),
}

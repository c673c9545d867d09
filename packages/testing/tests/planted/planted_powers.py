"""Connectors with one planted bug each in an optional capability."""

import time

from psk.connectors.local import LocalConnector, Stored, copy_in
from psk.errors import MissingKeyError


class WithTwoWinners(LocalConnector):
    def take(self, key, claim, *, lease=None, size=None, timeout=None):
        stored = self._writable().find(key)
        held = (stored and stored.claim) or (claim, 0)
        time.sleep(0.001)
        if held[0] != claim and time.monotonic() < held[1]:
            return None
        if stored:
            stored.claim = None
        return super().take(key, claim, lease=lease, timeout=timeout)


class LosingExpiry(LocalConnector):
    def put(self, payload, *, ttl=None, **options):
        return super().put(payload, **options)


class MovingExpiry(LocalConnector):
    def put(self, payload, *, ttl=None, **options):
        key = super().put(payload, ttl=ttl, **options)
        if ttl is not None:
            self.renew(key, ttl)
        return key


class BelievingTheClock(LocalConnector):
    def __init__(self, name=None):
        super().__init__(name)
        self.ends = {}

    def put(self, payload, *, ttl=None, **options):
        if ttl is not None:
            self.ends[payload.key] = time.time() + ttl
        return super().put(payload, **options)

    def get(self, key, **options):
        return super().get(key, **options) if time.time() < self.ends.get(key, float("inf")) else None


class NeverFreeing(BelievingTheClock):
    pass


class RenewingTheMissing(LocalConnector):
    def renew(self, key, ttl, **options):
        super().renew(key, ttl, **options)
        return True


class RememberingClaims(LocalConnector):
    claimed = None

    def evict(self, key, **options):
        stored = self._writable().find(key)
        super().evict(key, **options)
        self.claimed = stored and stored.claim and stored.claim[0]

    def put(self, payload, **options):
        key = super().put(payload, **options)
        if self.claimed:
            super().take(key, self.claimed)
        return key


class LendingForever(LocalConnector):
    def take(self, key, claim, *, lease=None, **options):
        return super().take(key, claim, **options)


class WithHalfACapability(LocalConnector):
    aevict = None


class ReservingByPutting(LocalConnector):
    def reserve(self, object_id, **options):
        key = super().reserve(object_id, **options)
        self._space.objects[key] = Stored((b"reserved",))
        return key


class FulfillingAnything(LocalConnector):
    def fulfil(self, key, payload, **options):
        self.put(payload, **options)


class WakingLate(LocalConnector):
    def wait(self, keys, *, timeout=None):
        while timeout is None or timeout > 0:
            if found := [key for key in keys if self.exists(key)]:
                return found
            time.sleep(0.2)
            timeout = timeout and timeout - 0.2
        return super().wait(keys, timeout=timeout and max(0, timeout))


class MixingBatches(LocalConnector):
    def get_batch(self, keys, **options):
        return super().get_batch(keys[::-1], **options)


class CuttingShort(LocalConnector):
    def get_range(self, key, offset, length, **options):
        part = super().get_range(key, offset, length, **options)
        return part and part[: max(0, length - 1)]


class SwappingBlindly(LocalConnector):
    def swap(self, key, payload, *, ttl=None, timeout=None):
        if not self.exists(key):
            raise MissingKeyError(f"no object stands under {key}")
        self._writable().objects[key] = copy_in(payload)


class ReadingOldVersions(LocalConnector):
    def get(self, key, **options):
        frames = super().get(key, **options)
        if frames is None:
            return None
        self.first = {} if not hasattr(self, "first") else self.first
        self.reads = 1 if not hasattr(self, "reads") else self.reads + 1
        return frames if self.reads % 3 else self.first.setdefault(key, frames)


class ListingMore(LocalConnector):
    def keys(self, **options):
        return iter([*super().keys(**options), *(key for key, stored in self._space.objects.items() if stored.claim)])


class NotClearing(LocalConnector):
    def clear(self, **options):
        return len(list(self.keys(**options)))


class EvictingNothing(LocalConnector):
    async def aevict(self, key, **options):
        await super().aexists(key, **options)


CAUGHT_BY = {
    WithTwoWinners: ("test_a_race_has_one_winner", "C47"),
    LosingExpiry: ("test_an_expired_object_is_gone", "C18", "C44"),
    MovingExpiry: ("test_the_first_expiry_stays", "C15"),
    BelievingTheClock: ("test_a_step_of_the_clock_changes_nothing", "C44"),
    NeverFreeing: ("test_an_expired_object_is_freed", "C46"),
    RenewingTheMissing: ("test_renewing_moves_the_expiry", "C45"),
    RememberingClaims: ("test_evict_ends_a_claim", "C50"),
    LendingForever: ("test_a_lease_gives_the_object_back", "C49"),
    WithHalfACapability: ("test_a_capability_is_whole_or_absent", "C39"),
    ReservingByPutting: ("test_a_reserved_key_has_its_object_later", "C40"),
    FulfillingAnything: ("test_a_reserved_key_refuses_another_object", "C41"),
    WakingLate: ("test_wait_wakes_up_with_the_object", "C42"),
    MixingBatches: ("test_batches_answer_in_order", "C43"),
    CuttingShort: ("test_a_range_is_a_part_of_the_whole", "C54"),
    SwappingBlindly: ("test_a_swap_follows_the_current_revision", "C51", "C53"),
    ReadingOldVersions: ("test_swaps_are_never_seen_going_backwards", "C52"),
    ListingMore: ("test_keys_and_clear", "C55"),
    NotClearing: ("test_keys_and_clear", "C56"),
    EvictingNothing: ("test_coroutines_do_the_same", "C57"),
}
"""What finds it, and the rules that it must name."""

"""Connectors with one planted bug each in put, get, exists, evict, or in every call."""

import asyncio
import ctypes
import os
import threading
import time
from typing import ClassVar

from psk.connectors import Frames
from psk.connectors.local import LocalConnector, Stored, copy_in
from psk.errors import KeyExistsError, MissingKeyError

HERE = os.getpid()


class Overwriting(LocalConnector):
    def put(self, payload, **options):
        try:
            return super().put(payload, **options)
        except KeyExistsError:
            self._space.objects[payload.key] = copy_in(payload)
            return payload.key


class Aliasing(LocalConnector):
    def put(self, payload, **options):
        key = super().put(payload, **options)
        self._space.objects[key] = Stored((payload._block, *(memoryview(frame) for frame in payload.frame_views())))
        return key


class SharingWritable(LocalConnector):
    def put(self, payload, **options):
        key = super().put(payload, **options)
        self._space.objects[key] = Stored((bytearray(payload.tobytes()),))
        return key


class Torn(LocalConnector):
    def put(self, payload, **options):
        whole = payload.tobytes()
        self._writable().objects.setdefault(payload.key, Frames((whole[: len(whole) // 2],)))
        time.sleep(0.001)
        del self._space.objects[payload.key]
        return super().put(payload, **options)


class TakingAnyKey(LocalConnector):
    def get(self, key, **options):
        return super().get(key, **options) if isinstance(key, str) and len(key) == 32 else None


class TakingPlaces(LocalConnector):
    def exists(self, key, **options):
        return super().exists(key.partition("@")[0] if isinstance(key, str) else key, **options)


class NamingFreely(LocalConnector):
    def put(self, payload, **options):
        return f"object-{super().put(payload, **options)}"


class TakingAnyTimeout(LocalConnector):
    def evict(self, key, *, timeout=None):
        super().evict(key)


class Dawdling(LocalConnector):
    def put(self, payload, **options):
        if payload.nbytes > 1_000_000:
            time.sleep(0.8)
        return super().put(payload, **options)


class SharingState(LocalConnector):
    def put(self, payload, **options):
        self.current = payload
        time.sleep(0)
        return super().put(self.current, **options)


class HangingAfterFork(LocalConnector):
    def exists(self, key, **options):
        if os.getpid() != HERE:
            threading.Event().wait()
        return super().exists(key, **options)


class Unwrapped:
    """Neither a lock nor a set that forgets it when a process forks."""

    lock = threading.Lock()
    names: ClassVar = set()


class HoldingALockAsItForks(LocalConnector):
    def get(self, key, **options):
        with Unwrapped.lock:
            time.sleep(0.002)
            return super().get(key, **options)


class OpenOncePerProcess(LocalConnector):
    def __init__(self, name=None):
        super().__init__(name)
        if os.getpid() != HERE and self._name in Unwrapped.names:
            raise RuntimeError(f"{self._name} is already open in this process")
        Unwrapped.names.add(self._name)


class HangingInNativeCode(LocalConnector):
    """Locks a mutex of C twice: no signal ends that, and no handler in Python hears of one."""

    def get(self, key, **options):
        mutex = ctypes.create_string_buffer(256)
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(mutex)


class RunningLoops(LocalConnector):
    def get(self, key, **options):
        async def got():
            return super(RunningLoops, self).get(key, **options)

        coroutine = got()
        try:
            return asyncio.run(coroutine)
        finally:
            coroutine.close()


class Leaking(LocalConnector):
    def put(self, payload, **options):
        descriptor = os.dup(2)
        key = super().put(payload, **options)
        os.close(descriptor)
        return key


class DroppingTheTail(LocalConnector):
    def put(self, payload, **options):
        key = super().put(payload, **options)
        if payload.nbytes > 1_000_000:
            self._space.objects[key] = Stored((payload.tobytes()[:1_000_000],))
        return key


class RefusingHints(LocalConnector):
    def put(self, payload, *, hints=None, **options):
        if hints:
            raise TypeError("no such hint")
        return super().put(payload, **options)


class TrustingSize(LocalConnector):
    def get(self, key, *, size=None, timeout=None):
        frames = super().get(key, timeout=timeout)
        return frames if frames is None or size is None else Frames((frames.buffers[0][:size], *frames.buffers[1:]))


class SeeingTheMissing(LocalConnector):
    def exists(self, key, **options):
        super().exists(key, **options)
        return True


class RefusingToEvict(LocalConnector):
    def evict(self, key, **options):
        if not self.exists(key, **options):
            raise MissingKeyError(f"no object stands under {key}")
        super().evict(key, **options)


class MendingDamage(LocalConnector):
    def put(self, payload, **options):
        key = super().put(payload, **options)
        self.good = {} if not hasattr(self, "good") else self.good
        self.good[key] = copy_in(payload)
        return key

    def get(self, key, **options):
        frames = super().get(key, **options)
        return frames and self.good.get(key, frames)


class HidingDamage(LocalConnector):
    def get(self, key, **options):
        from psk.errors import PayloadError
        from psk.wire import Payload

        frames = super().get(key, **options)
        try:
            frames and Payload.parse(frames).verify()
        except PayloadError:
            return None
        return frames


class Allocating(LocalConnector):
    def get(self, key, **options):
        frames = super().get(key, **options)
        if frames is not None:
            bytearray(int.from_bytes(frames.buffers[0][24:32], "little"))
        return frames


CAUGHT_BY = {
    Overwriting: ("test_another_payload_with_the_same_id_is_refused", "C16"),
    Aliasing: ("test_changes_after_the_put_are_not_seen", "C17"),
    SharingWritable: ("test_readers_do_not_see_each_others_changes", "C23"),
    Torn: ("test_get_beside_put_and_evict_is_whole_or_nothing", "C14", "C21"),
    TakingAnyKey: ("test_a_hostile_key_is_refused_shortly", "C3", "C4"),
    TakingPlaces: ("test_a_place_is_refused_where_there_are_none", "C3"),
    NamingFreely: ("test_a_key_begins_with_the_object_id", "C1", "C2"),
    TakingAnyTimeout: ("test_a_senseless_timeout_is_refused", "C6"),
    Dawdling: ("test_a_call_without_time_ends_at_once", "C5"),
    SharingState: ("test_many_threads_use_one_instance", "C7"),
    HangingAfterFork: ("test_a_forked_child_can_use_it_or_is_refused", "C8"),
    HoldingALockAsItForks: ("test_a_forked_pool_resolves_while_the_parent_goes_on", "C8"),
    OpenOncePerProcess: ("test_a_forked_pool_resolves_while_the_parent_goes_on", "C8"),
    RunningLoops: ("test_it_works_inside_an_event_loop", "C9"),
    Leaking: ("test_a_call_that_fails_leaves_nothing", "C11"),
    DroppingTheTail: ("test_what_was_put_is_what_is_got", "C13"),
    RefusingHints: ("test_unknown_hints_are_ignored", "C19"),
    TrustingSize: ("test_a_wrong_size_changes_nothing", "C25"),
    SeeingTheMissing: ("test_a_missing_object_is_none", "C22", "C27"),
    RefusingToEvict: ("test_evict_removes_and_may_be_repeated", "C28"),
    MendingDamage: ("test_no_damage_is_taken_for_a_value", "C24"),
    HidingDamage: ("test_no_damage_is_taken_for_a_value", "C24"),
    Allocating: ("test_a_claimed_size_allocates_nothing", "C26"),
}
"""What finds it, and the rules that it must name."""

"""Public calls that provoke each error of lifetimes, futures and executors."""

import pickle
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context

import pytest

from psk.errors import InvalidKeyError
from psk_patterns import ContextLifetime, LeaseLifetime, ProxySize, StoreExecutor, as_completed, errors

#: What provokes an error: its class, words of the rule, and the function.
CASES = []


def provokes(kind, *rule):
    """Enter a function into the table; it notes in `named` what the message must name, and then breaks the rule."""

    def enter(function):
        CASES.append(pytest.param(kind, rule, function, id=f"{kind.__name__}-{function.__name__}"))
        return function

    return enter


@provokes(errors.LifetimeEndedError, "has ended", "was evicted")
def attach_after_the_end(store, named):
    lifetime = ContextLifetime(store, name="block")
    lifetime.close()
    key = store.put([1])
    named += [key, store.name, "ContextLifetime 'block'"]
    lifetime.add_key(key)


@provokes(errors.LifetimeEndedError, "has ended", "extended")
def extend_after_the_end(store, named):
    lease = LeaseLifetime(store, 60, name="lease", renew=False)
    lease.close()
    named += ["LeaseLifetime 'lease'", store.name]
    lease.extend(60)


@provokes(errors.LifetimeCloseError, "could not be evicted")
def end_with_what_cannot_be_evicted(store, named):
    lifetime = ContextLifetime(store, name="block")
    lifetime.add_key(store.put([1]), "no key at all")
    named += ["ContextLifetime 'block'", store.name, "no key at all"]
    lifetime.close()


@provokes(errors.LeaseLostError, "could not extend")
def extend_what_cannot_be_renewed(store, named):
    lease = LeaseLifetime(store, 60, name="lease", renew=False)
    with suppress(InvalidKeyError):
        lease.add_key("no key at all")
    named += ["LeaseLifetime 'lease'", store.name, "no key at all"]
    lease.extend(60)


@provokes(errors.FutureTimeoutError, "no outcome within", "no process has claimed it")
def wait_for_what_nobody_claimed(promised, named):
    named += [promised.key, promised.uri]
    promised.result(timeout=0.01)


@provokes(errors.FutureTimeoutError, "no outcome within", "has claimed it and is alive")
def wait_for_what_is_not_ready(promised, named):
    promised.claim()
    named += [promised.key, promised.uri, "process"]
    promised.result(timeout=0.05)


@provokes(errors.FutureTimeoutError, "1 of 1 futures had no outcome within")
def wait_for_several(promised, named):
    named += [promised.key, promised.uri]
    list(as_completed([promised], timeout=0.01))


@provokes(errors.FutureCancelledError, "was cancelled by process")
def wait_for_what_was_cancelled(promised, named):
    promised.cancel()
    named += [promised.key, promised.uri]
    promised.result()


@provokes(errors.FutureCancelledError, "was cancelled by process")
def claim_what_was_cancelled(promised, named):
    promised.cancel()
    named += [promised.key, promised.uri]
    promised.claim()


@provokes(errors.FutureDoneError, "already has an outcome")
def set_twice(promised, named):
    promised.set_result(1)
    named += [promised.key, promised.uri]
    promised.set_result(2)


@provokes(errors.FutureClaimedError, "has claimed it")
def claim_what_is_claimed(promised, named):
    promised.claim()
    named += [promised.key, promised.uri, "process"]
    pickle.loads(pickle.dumps(promised)).claim()


@provokes(errors.ProducerDied, "had claimed it, died")
def wait_for_the_dead(promised, named):
    producer = get_context("spawn").Process(target=promised.claim)
    producer.start()
    producer.join()
    producer.close()
    named += [promised.key, promised.uri, "process"]
    promised.result(timeout=30)


@provokes(errors.RemoteError, "failed with", "LocalError: by itself")
def fail_with_what_cannot_travel(promised, named):
    class LocalError(Exception):
        pass

    promised.set_exception(LocalError("by itself"))
    named += [promised.key, promised.uri]
    promised.result()


@provokes(errors.FutureError, "was released here")
def use_after_release(promised, named):
    named += [promised.key, promised.uri]
    promised.release()
    promised.done()


@provokes(errors.FutureError, "was released by process", "before it had an outcome")
def wait_for_what_was_released(promised, named):
    copy = pickle.loads(pickle.dumps(promised))
    named += [promised.key, promised.uri]
    promised.release()
    try:
        copy.result(timeout=10)
    finally:
        copy.store.evict(copy.key)


class Late:
    """A client of an engine whose results come late."""

    def submit(self, function, *args):
        done = Future()
        result = function(*args)
        time.sleep(1.0)
        done.set_result(result)
        return done


@provokes(errors.LeaseLostError, "of a task's result", "is gone")
def receive_a_result_too_late(store, named):
    named += [store.uri]
    with StoreExecutor(Late(), store, ProxySize(100), ttl=0.3) as executor:
        executor.submit(bytes, 1000).result()


@provokes(errors.ExecutorClosedError, "after its shutdown")
def submit_after_shutdown(store, named):
    executor = StoreExecutor(ThreadPoolExecutor(1), store, ProxySize(100))
    executor.shutdown()
    named += [store.name]
    executor.submit(len, "abc")

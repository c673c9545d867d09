"""Does every error of the patterns say which object it is about, which rule was broken, and what to do?"""

import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context

import pytest

import psk
from psk.errors import InvalidKeyError, PskError
from psk_patterns import (
    ContextLifetime,
    LeaseLifetime,
    ProxySize,
    StoreExecutor,
    as_completed,
    errors,
    future,
)
from psk_patterns.finishing import flush

PUBLIC = {each for each in vars(errors).values() if getattr(each, "__module__", "") == errors.__name__}
#: What provokes an error: its class, words of the rule, and the function.
CASES = []


def provokes(kind, *rule):
    """Enter a function into the table; it notes in `named` what the message must name, and then breaks the rule."""

    def enter(function):
        CASES.append(pytest.param(kind, rule, function, id=f"{kind.__name__}-{function.__name__}"))
        return function

    return enter


# --- lifetimes -------------------------------------------------------------------------------------------------------


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


# --- futures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def promised(store):
    made = future(store, ttl=0.3)
    yield made
    made.release()


@provokes(errors.FutureTimeoutError, "no outcome within", "nobody has claimed it")
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


@provokes(errors.FutureDoneError, "has its outcome already")
def set_twice(promised, named):
    promised.set_result(1)
    named += [promised.key, promised.uri]
    promised.set_result(2)


@provokes(errors.FutureClaimedError, "is at work on it")
def claim_what_is_claimed(promised, named):
    promised.claim()
    named += [promised.key, promised.uri, "process"]
    pickle.loads(pickle.dumps(promised)).claim()


@provokes(errors.ProducerDied, "had claimed it, died first")
def wait_for_the_dead(promised, named):
    producer = get_context("spawn").Process(target=promised.claim)
    producer.start()
    producer.join()
    producer.close()
    named += [promised.key, promised.uri, "process"]
    promised.result(timeout=30)


@provokes(errors.RemoteError, "failed with LocalError: by itself")
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


# --- executors -------------------------------------------------------------------------------------------------------


@provokes(errors.ExecutorClosedError, "after its shutdown")
def submit_after_shutdown(store, named):
    executor = StoreExecutor(ThreadPoolExecutor(1), store, ProxySize(100))
    executor.shutdown()
    named += [store.name]
    executor.submit(len, "abc")


# --- the table -------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path):
    with psk.Store("errors", f"file://{tmp_path}/objects", register=True) as opened:
        yield opened
    assert flush()
    with psk.Store("left", f"file://{tmp_path}/objects") as opened:
        opened.clear()
    psk.store.close_opened_stores()


@pytest.mark.parametrize(("kind", "rule", "provoke"), CASES)
def test_an_error_says_what_which_rule_and_what_to_do(kind, rule, provoke, store, request):
    argument = provoke.__code__.co_varnames[0]
    named = []
    with pytest.raises(PskError) as caught:
        provoke(request.getfixturevalue(argument), named)
    error = caught.value
    what = error.args[0]
    assert type(error) is kind
    assert named
    assert [name for name in named if name not in what] == []
    assert [words for words in rule if words not in what] == []
    assert error.remedy
    assert "\n" not in str(error)
    assert str(error).startswith(f"{what}; {error.remedy}")


def test_no_public_error_is_missing_from_the_table():
    assert {case.values[0] for case in CASES} == PUBLIC


@pytest.mark.parametrize("kind", sorted(PUBLIC, key=lambda kind: kind.__name__))
def test_an_error_can_be_caught_as_any_of_psk(kind):
    assert issubclass(kind, PskError)
    assert kind.__doc__.endswith((".", "\n    "))
    travelled = pickle.loads(pickle.dumps(kind("what", found=["this"], remedy="do that")))
    assert (type(travelled), str(travelled)) == (kind, "what; do that (found: this)")

"""Are the patterns free of the defects that docs/porting.md lists? Each test is named in the guide's table."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import psk
from psk_patterns import ContextLifetime, ProxyType, StoreExecutor, future, owned_proxy
from psk_patterns.finishing import flush


@pytest.fixture
def store():
    with psk.Store("difference", "local://patterns-difference") as opened:
        yield opened
        opened.clear()


@pytest.fixture
def executor(store):
    with StoreExecutor(ThreadPoolExecutor(2), store, ProxyType(str)) as opened:
        yield opened


def fail_if(condition):
    if condition:
        raise ZeroDivisionError


def test_a_lifetime_ends_with_its_block_after_an_error(store):
    with pytest.raises(ZeroDivisionError), ContextLifetime(store) as lifetime:
        fail_if(store.put([1], lifetime=lifetime))
    assert lifetime.done()
    assert store.list() == []


def test_a_lease_does_not_keep_the_interpreter_alive():
    program = (
        "import psk; from psk_patterns import LeaseLifetime; s = psk.Store('s', 'local://s');"
        "s.put([1], lifetime=LeaseLifetime(s, 60)); s.put([2], lifetime=LeaseLifetime(s, 60, renew=False))"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert time.monotonic() - start < 30


def test_an_owned_object_goes_although_its_maker_used_it(store):
    owned = owned_proxy(store, [1, 2])
    assert owned == [1, 2]
    del owned
    assert flush()
    assert store.list() == []


def test_two_results_of_one_future_share_nothing(store):
    promised = future(store)
    promised.set_result([1])
    first, second = promised.result(), promised.result()
    first.append(2)
    assert (first, second, promised.result()) == ([1, 2], [1], [1])
    promised.release()


def test_a_mapped_function_gets_each_item_as_the_policy_says(executor):
    kinds = list(executor.map(lambda item: issubclass(type(item), psk.Proxy), ["text", 1, "text"]))
    assert kinds == [True, False, True]


def test_inputs_go_although_a_task_failed_and_nobody_fetched_the_rest(store, executor):
    results = executor.map(lambda text: fail_if(text == "b"), ["a", "b", "c"])
    assert next(results) is None
    with pytest.raises(ZeroDivisionError):
        next(results)
    del results
    executor.shutdown()
    assert flush()
    assert store.list() == []

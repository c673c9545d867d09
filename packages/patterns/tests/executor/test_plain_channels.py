"""Run the executor on a channel without expiry and without batches."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import pytest
from chores import LARGE, fail, fill, same, total
from plain_channel import PlainConnector, known

from psk import Store
from psk.store import close_opened_stores
from psk_patterns import OwnedProxy, ProxySize, StoreExecutor, release

ITEM = b"x" * LARGE


@contextmanager
def forked():
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        yield pool


@pytest.fixture(params=[ThreadPoolExecutor, forked])
def executor(request, tmp_path):
    with known(), Store("plain", PlainConnector(f"file://{tmp_path}/objects", "list"), register=True) as store:
        with request.param(*[2] * (request.param is ThreadPoolExecutor)) as pool:
            yield StoreExecutor(pool, store, ProxySize(LARGE))
        assert store.list() == []
        close_opened_stores()


def test_arguments_go_when_the_task_is_done(executor):
    assert executor.submit(total, ITEM, ITEM + ITEM).result() == 3 * LARGE * ord("x")
    assert isinstance(executor.submit(fail, ITEM).exception(), ValueError)
    assert executor.store.list() == []


def test_results_are_owned(executor):
    result = executor.submit(fill, 1).result()
    assert isinstance(result, OwnedProxy)
    assert result == fill(1)
    release(result)


def test_plain_results_stay(executor):
    executor.ownership = False
    result = executor.submit(same, ITEM).result()
    assert result == ITEM
    (key,) = executor.store.list()
    executor.store.evict(key)

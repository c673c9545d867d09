"""The factory is called once, by the first use, and again after a failure."""

import threading
import time

import pytest

from psk.errors import InvalidFactoryError, ProxyResolveError, ProxyResolveMissingKeyError
from psk.proxy import Proxy, is_resolved


def test_the_factory_is_called_at_the_first_use_and_once(counted):
    factory = counted([1, 2])
    proxy = Proxy(factory)
    assert factory.calls == 0
    assert [len(proxy), proxy[0], proxy * 2] == [2, 1, [1, 2, 1, 2]]
    assert factory.calls == 1


def test_a_target_given_beforehand_needs_no_factory(counted):
    factory = counted(1)
    proxy = Proxy(factory, target=5)
    assert is_resolved(proxy)
    assert proxy + 1 == 6
    assert factory.calls == 0


def test_none_can_be_a_target_of_a_factory(counted):
    factory = counted(None)
    proxy = Proxy(factory)
    assert [str(proxy), bool(proxy), str(proxy)] == ["None", False, "None"]
    assert factory.calls == 1


def test_a_factory_that_cannot_be_called_is_refused():
    with pytest.raises(InvalidFactoryError, match="not 'int'"):
        Proxy(3)


def test_a_failure_is_wrapped_with_its_cause():
    def factory():
        raise KeyError("lost")

    with pytest.raises(ProxyResolveError, match="KeyError: 'lost'") as caught:
        len(Proxy(factory))
    assert isinstance(caught.value.cause, KeyError)
    assert caught.value.__cause__ is caught.value.cause


def test_a_failure_is_not_kept():
    answers = [ValueError(), [1]]

    def factory():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    proxy = Proxy(factory)
    with pytest.raises(ProxyResolveError):
        len(proxy)
    assert not is_resolved(proxy)
    assert len(proxy) == 1


def test_an_attribute_error_of_the_factory_is_no_missing_attribute():
    def factory():
        raise AttributeError("inside")

    with pytest.raises(ProxyResolveError):
        hasattr(Proxy(factory), "anything")


def test_a_resolve_error_of_the_factory_passes_unwrapped():
    error = ProxyResolveMissingKeyError("gone")

    def factory():
        raise error

    with pytest.raises(ProxyResolveMissingKeyError) as caught:
        len(Proxy(factory))
    assert caught.value is error
    assert caught.value.cause is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interruption_passes_unwrapped_and_leaves_the_proxy_usable(kind):
    answers = [True, False]

    def factory():
        if answers.pop(0):
            raise kind
        return "target"

    proxy = Proxy(factory)
    with pytest.raises(kind):
        str(proxy)
    assert str(proxy) == "target"


def test_a_factory_that_uses_its_own_proxy_gets_an_error():
    proxy = Proxy(lambda: len(proxy))
    with pytest.raises(ProxyResolveError, match="uses the proxy that it is asked to resolve"):
        str(proxy)


def test_a_ring_of_proxies_gets_an_error():
    first = Proxy(lambda: second + 1)
    second = Proxy(lambda: first + 1)
    with pytest.raises(ProxyResolveError, match="uses the proxy"):
        str(first)


def test_a_ring_across_threads_gets_an_error():
    both = threading.Barrier(2)

    def meet(use):
        both.wait()
        return str(use())

    first = Proxy(lambda: meet(lambda: second))
    second = Proxy(lambda: meet(lambda: first))
    errors = []

    def run(proxy):
        try:
            str(proxy)
        except ProxyResolveError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[proxy]) for proxy in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(errors) == 2


def test_any_number_of_threads_see_one_call(scale):
    count = scale("proxy.racing_threads")
    for _ in range(scale("proxy.races")):
        calls = []

        def factory(calls=calls):
            calls.append(threading.get_ident())
            time.sleep(0.05)
            return [1, 2, 3]

        proxy = Proxy(factory)
        start = threading.Event()
        seen = []

        def use(proxy=proxy, start=start, seen=seen):
            start.wait()
            seen.append((len(proxy), proxy[0], proxy == [1, 2, 3], proxy.count(2)))

        threads = [threading.Thread(target=use) for _ in range(count)]
        for thread in threads:
            thread.start()
        start.set()
        for thread in threads:
            thread.join()
        assert len(calls) == 1
        assert seen == [(3, 1, True, 1)] * count


def test_threads_that_wait_for_one_failure_all_get_it():
    calls = []

    def factory():
        calls.append(1)
        time.sleep(0.2)
        raise ValueError("no")

    proxy = Proxy(factory)
    errors = []

    def use():
        try:
            len(proxy)
        except ProxyResolveError as error:
            errors.append(error.cause)

    threads = [threading.Thread(target=use) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 20
    assert all(isinstance(cause, ValueError) for cause in errors)
    assert len(calls) < 20


def test_use_unresolve_and_resolve_can_race():
    proxy = Proxy(lambda: [1, 2, 3])
    stop = threading.Event()
    failures = []

    def use():
        while not stop.is_set():
            try:
                assert (len(proxy), proxy[1], proxy.count(3), list(proxy)) == (3, 2, 1, [1, 2, 3])
            except BaseException as error:  # noqa: BLE001  # shown by the assertion below
                failures.append(error)
                return

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        del proxy.__proxy_wrapped__
        time.sleep(0.0005)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures

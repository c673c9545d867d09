"""`p += x` leaves the right object under the name p and under other names."""

import numpy as np

from psk.proxy import Proxy, extract


def test_a_mutable_target_changes_behind_its_proxy(proxy_of):
    target = [1]
    proxy = other = proxy_of(target)
    proxy += [2]
    proxy *= 2
    assert proxy is other
    assert extract(proxy) is target
    assert target == [1, 2, 1, 2]


def test_an_immutable_target_is_replaced_by_the_result(proxy_of):
    proxy = other = proxy_of(3)
    proxy += 1
    assert proxy == 4
    assert type(proxy) is int
    assert other == 3


def test_arrays_change_in_place(proxy_of):
    target = np.arange(3)
    proxy = proxy_of(target)
    proxy += 1
    proxy *= 2
    assert extract(proxy) is target
    assert target.tolist() == [2, 4, 6]


def test_the_right_operand_may_be_a_proxy(proxy_of):
    target = [1]
    target += proxy_of([2])
    assert target == [1, 2]
    total = np.arange(2)
    total += proxy_of(np.ones(2, int))
    assert total.tolist() == [1, 2]


def test_a_sum_in_a_loop_works(proxy_of):
    total = Proxy(lambda: 0)
    for _ in range(3):
        total += proxy_of(2)
    assert total == 6

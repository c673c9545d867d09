"""Valid uses that no type checker flags."""

# ruff: noqa: C416, DTZ005, PLW0108, RUF005, SIM115, SIM300, TC003, UP031  # what is odd about these lines is what they try

from __future__ import annotations

import datetime as dt
import math
from collections.abc import AsyncIterator, Awaitable, Sequence

import numpy as np
from subjects import (
    Derived,
    OldSequence,
    Other,
    Sample,
    Store,
    takes_int,
    takes_proxies,
    takes_sample,
    takes_str,
)

from psk.proxy import (
    Proxy,
    ProxyLocker,
    ProxyOr,
    aresolve,
    extract,
    get_factory,
    is_resolved,
    resolve,
    resolve_async,
)


def takes_proxy(proxy: Proxy[Sample]) -> int:
    takes_sample(proxy)
    takes_sample(extract(proxy))
    proxy.name(1)
    len(proxy)
    proxy + 1
    for _ in proxy:
        pass
    if isinstance(proxy, Proxy):
        resolve(proxy)
    if isinstance(proxy, Sample):
        proxy.name(1)
    del proxy.__proxy_wrapped__
    return proxy.count


def first_character(proxy: Proxy[str]) -> str:
    return proxy[0]


def takes_either(value: ProxyOr[Sample]) -> int:
    value.name(1)
    len(value)
    takes_sample(value)
    if isinstance(value, Proxy):
        resolve(value)
        plain = extract(value)
    else:
        plain = value
    return takes_sample(plain)


def takes_sequence(values: Sequence[Sample]) -> int:
    return len(values)


def stored(store: Store, sample: Sample, derived: Derived, other: Other) -> None:
    proxy = store.proxy(sample)
    takes_sample(proxy)
    takes_proxy(proxy)
    takes_either(proxy)
    takes_sample(store.proxy(derived))
    takes_proxy(store.proxy(derived))
    takes_either(store.proxy(sample))
    takes_either(sample)
    takes_str(proxy.name(1))
    takes_int(proxy.count)
    takes_int(proxy + 1)
    len(proxy)
    for item in proxy:
        takes_int(item)
    if isinstance(proxy, Proxy):
        proxy.name(1)
    declared: Proxy[Sample] = store.proxy(sample)
    takes_proxy(declared)
    takes_sample(declared)
    as_target: Sample = store.proxy(sample)
    takes_sample(as_target)
    takes_str(as_target.name(1))
    proxies = [store.proxy(sample), store.proxy(derived)]
    takes_sequence(proxies)
    takes_proxies([store.proxy(sample)])
    takes_proxies(list(proxies))
    by_name: dict[str, Proxy[Sample]] = {"a": store.proxy(sample)}
    takes_proxy(by_name["a"])
    targets: dict[str, Sample] = {"a": store.proxy(sample)}
    takes_sample(targets["a"])
    takes_sample(store.proxy(sample) if sample else sample)
    maybe: ProxyOr[Sample] = sample
    takes_either(maybe)
    store.proxy(other).text.upper()


def made(sample: Sample) -> None:
    proxy = Proxy(lambda: sample)
    takes_sample(proxy)
    takes_proxy(proxy)
    takes_either(proxy)
    takes_sample(Proxy(lambda: sample))
    takes_proxy(Proxy(lambda: sample))
    takes_proxy(Proxy(lambda: sample, cache_defaults=True, target=sample))
    takes_proxy(Proxy[Sample](lambda: sample))
    if isinstance(proxy, Proxy):
        proxy.name(1)
    proxy.__proxy_wrapped__ = sample
    del proxy.__proxy_wrapped__
    proxy.count = 3
    del proxy.count


async def helped(proxy: Proxy[Sample]) -> None:
    resolve(proxy)
    resolve_async(proxy)
    takes_sample(await aresolve(proxy))
    takes_sample(get_factory(proxy)())
    takes_proxy(ProxyLocker(proxy).unlock())
    if not is_resolved(proxy):
        takes_str(extract(proxy).name(1))


def numbers(sample: Sample) -> None:
    number = Proxy(lambda: 3)
    takes_int(number)
    takes_int(number + 1)
    takes_int(1 + number)
    (1.5 * number).is_integer()
    (number / 2).hex()
    number.bit_length()
    _ = [number == 3, number < 4, 3 <= number, -number, ~number, +number, not number, number and sample]
    _ = [abs(number), int(number), float(number), bool(number), hash(number), round(number, 2)]
    _ = [math.sqrt(number), math.trunc(number), pow(number, 2), divmod(number, 2), 2**number, 1 << number]
    _ = [sum([number, number]), max(number, 3), sorted([number, 1]), range(number), [1, 2][number]]
    f"{number:d}"
    number += 1
    number -= 1
    number **= 2


def containers() -> None:
    items = Proxy(lambda: [1, 2])
    for item in items:
        takes_int(item)
    _ = [items[0], items[:1], items + ["a"], [0] + items, ["a", *items], sorted(items), 1 in items, list(items)]
    _ = [sum(items), max(items), reversed(items), zip(items, items, strict=True), map(str, items), items * 2]
    items[0] = 3
    del items[0]
    items += [3]
    pair = Proxy(lambda: (1, "a"))
    first, second = pair
    takes_int(first)
    takes_str(second)
    takes_str(pair[1])
    table = Proxy(lambda: {"a": 1})
    _ = [table["a"], {**table}, dict(**table), table.items(), "a" in table, [key for key in table]]
    table["b"] = 3
    takes_str(next(iter(table)))
    old = Proxy(lambda: OldSequence())
    _ = [takes_str(text) for text in old]


def texts() -> None:
    text = Proxy(lambda: "abc")
    takes_str(text)
    takes_str("d" + text)
    _ = [text + "d", text.upper(), text[0], text % 3, "%s" % text, f"{text:>5}", {text: 1}, {"a": 1}[text]]
    with open(text) as stream:
        stream.read()


def callables(sample: Sample) -> None:
    function = Proxy(lambda: takes_sample)
    takes_int(function(sample))
    cls = Proxy(lambda: Sample)
    takes_sample(cls())
    isinstance(sample, cls)


def files() -> None:
    file = Proxy(lambda: open("name"))
    with file as stream:
        stream.read()
    for line in file:
        takes_str(line)


def patterns(store: Store, sample: Sample) -> None:
    match store.proxy(sample):
        case Sample(count=3) as matched:
            takes_int(matched.count)
        case _:
            pass


def times() -> None:
    day = Proxy(lambda: dt.timedelta(1))
    _ = [(dt.datetime.now() + day).year, (day * 2).days, day.total_seconds(), day > dt.timedelta(0)]


def arrays(store: Store) -> None:
    array = store.proxy(np.zeros(3))
    _ = [(array + 1).sum(), (array * array).sum(), array[1:].sum(), (array == 1).all(), (-array).sum()]
    _ = [np.add(array, 1).sum(), np.asarray(array).sum(), (np.ones(3) + array).sum(), array @ array]
    array += 1
    array.sum()


async def asynchronous(waiting: Proxy[Awaitable[int]], numbers: Proxy[AsyncIterator[int]]) -> None:
    takes_int(await waiting)
    async for number in numbers:
        takes_int(number)

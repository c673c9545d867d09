"""Wrong uses, marked `# E:` with the type checkers that flag them."""

from __future__ import annotations

from subjects import Other, Sample, Store, takes_int, takes_other, takes_proxies, takes_sample, takes_str

from psk.proxy import Proxy, ProxyLocker, ProxyOr, aresolve, extract, get_factory, is_resolved, resolve


def takes_proxy(proxy: Proxy[Sample]) -> int:
    return proxy.count


def made() -> None:
    Proxy()  # E: mypy pyright
    Proxy(3)  # E: mypy pyright
    Proxy(lambda argument: argument)  # E: mypy pyright
    Proxy(lambda: 3, 5)  # E: mypy pyright
    Proxy(lambda: 3, unknown=True)  # E: mypy pyright
    Proxy[str](lambda: 3)  # E: mypy pyright


def passed(store: Store, sample: Sample, other: Other) -> None:
    takes_proxy(store.proxy(other))  # E: mypy pyright
    takes_proxy(Proxy(lambda: other))  # E: mypy pyright
    takes_proxy(other)  # E: mypy pyright
    takes_proxy(sample)  # E: mypy pyright
    takes_proxies([store.proxy(other)])  # E: mypy pyright
    declared: Proxy[Sample] = store.proxy(other)  # E: mypy pyright
    takes_proxy(declared)
    proxy = store.proxy(other)
    takes_proxy(proxy)  # E: pyright
    either: ProxyOr[Sample] = other  # E: mypy pyright
    takes_sample(either)


def extracted(store: Store, sample: Sample, other: Other) -> None:
    proxy = store.proxy(sample)
    takes_other(extract(proxy))  # E: mypy pyright
    extract(proxy).missing()  # E: mypy pyright
    extract(proxy) @ 3  # E: mypy pyright
    takes_str(get_factory(proxy)())  # E: mypy pyright
    takes_str(is_resolved(proxy))  # E: mypy pyright
    resolve(3)  # E: mypy pyright
    extract("text")  # E: mypy pyright
    ProxyLocker(other)  # E: mypy pyright
    takes_int(ProxyLocker(proxy))  # E: mypy pyright


async def awaited(proxy: Proxy[Sample]) -> None:
    target = await aresolve(proxy)
    takes_other(target)  # E: mypy pyright


def either(value: ProxyOr[Sample]) -> None:
    value.missing()  # E: mypy pyright
    value.name("wide")  # E: mypy pyright
    value @ 3  # E: mypy pyright
    takes_other(value)  # E: mypy


def as_target(store: Store, sample: Sample) -> None:
    # A variable of the target's own type is checked by mypy; pyright narrows it to the proxy.
    target: Sample = store.proxy(sample)
    target.missing()  # E: mypy
    target.name("wide")  # E: mypy
    takes_other(target)  # E: mypy


def as_parameter(sample: Sample) -> None:
    # A parameter of the target's own type is checked by both.
    sample.missing()  # E: mypy pyright
    sample.name("wide")  # E: mypy pyright


def not_flagged(store: Store, other: Other) -> None:
    # What the base Any costs: a proxy has every attribute and fits every parameter.
    proxy = store.proxy(other)
    proxy.missing()
    proxy + 1
    len(proxy)
    takes_sample(proxy)
    takes_int(proxy.text)

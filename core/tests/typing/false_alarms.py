"""Valid uses that a type checker flags. A test notices when a checker changes."""

# ruff: noqa: SIM300  # the order is the point

from __future__ import annotations

import datetime as dt

import numpy as np
from subjects import Sample, Store, takes_samples

from psk.proxy import Proxy


def number_first(store: Store) -> None:
    # A proxy passes for an int, so both take the result of `int.__add__` without asking the proxy.
    array = store.proxy(np.zeros(3))
    (1 + array).sum()  # E: mypy pyright
    (1 < array).all()  # E: mypy pyright
    day = Proxy(lambda: dt.timedelta(1))
    _ = (2 * day).days  # E: mypy pyright


def returned(proxy: Proxy[Sample]) -> str:
    # mypy --strict warns of every returned Any; `text: str = proxy.name(3)` says what it is.
    return proxy.name(3)  # E: mypy


def invariant(store: Store, sample: Sample) -> None:
    # list is invariant; a parameter that is only read is better declared as Sequence.
    proxies = [store.proxy(sample)]
    takes_samples(proxies)  # E: mypy pyright

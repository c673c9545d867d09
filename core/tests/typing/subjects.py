"""The objects of the typed examples."""

# ruff: noqa: TC003  # plain imports, as users write them

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from psk.proxy import Proxy

T = TypeVar("T")


class Sample:
    """A class with a few operations."""

    count: int = 0

    def name(self, width: int) -> str:
        return "x" * width

    def __len__(self) -> int:
        return 3

    def __add__(self, other: int) -> int:
        return other

    def __iter__(self) -> Iterator[int]:
        return iter([1])


class Other:
    """A class with none of them."""

    text: str = ""


class Derived(Sample):
    """A subclass."""


class OldSequence:
    """A class that is iterable by index only."""

    def __getitem__(self, index: int) -> str:
        raise IndexError(index)


class Store:
    """What matters of a store: the type of its `proxy`."""

    def proxy(self, target: T) -> Proxy[T]:
        return Proxy(lambda: target)


def takes_sample(sample: Sample) -> int:
    return sample.count


def takes_other(other: Other) -> str:
    return other.text


def takes_int(number: int) -> int:
    return number


def takes_str(text: str) -> str:
    return text


def takes_proxies(proxies: list[Proxy[Sample]]) -> int:
    return len(proxies)


def takes_samples(samples: list[Sample]) -> int:
    return len(samples)

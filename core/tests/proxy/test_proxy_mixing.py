"""The standard library and builtins accept a proxy beside plain values."""

import collections
import datetime as dt
import decimal
import fractions
import io
import itertools
import math
import os
import struct

import pytest


def test_as_dictionary_key_and_set_member(proxy_of):
    assert {3: "three"}[proxy_of(3)] == "three"
    assert {proxy_of("a"): 1}["a"] == 1
    assert {"a": 1}[proxy_of("a")] == 1
    assert proxy_of("a") in {"a", "b"}
    assert "a" in {proxy_of("a"), "b"}
    assert len({proxy_of(1), 1, proxy_of(1.0)}) == 1
    with pytest.raises(TypeError, match=r"unhashable type: '(Proxy of )?list'"):
        hash(proxy_of([]))


def test_sorting(proxy_of):
    values = [proxy_of(3), 1, proxy_of(2)]
    assert sorted(values) == [1, 2, 3]
    assert [max(values), min(values), sum(values)] == [3, 1, 6]


def test_unpacking(proxy_of):
    def call(*arguments, **named):
        return arguments, named

    assert call(*proxy_of([1, 2]), **proxy_of({"a": 3})) == ((1, 2), {"a": 3})
    first, *rest = proxy_of((1, 2, 3))
    assert (first, rest) == (1, [2, 3])
    assert {**proxy_of({"a": 1}), "b": 2} == {"a": 1, "b": 2}
    assert [*proxy_of("ab")] == ["a", "b"]
    assert dict(proxy_of({"a": 1})) == {"a": 1}


def test_numbers(proxy_of):
    assert list(range(proxy_of(3))) == [0, 1, 2]
    assert [10, 20][proxy_of(1)] == 20
    assert "ab" * proxy_of(2) == "abab"
    assert [int(proxy_of("12")), float(proxy_of("1.5")), complex(proxy_of(1j))] == [12, 1.5, 1j]
    assert round(proxy_of(3.14159), 2) == 3.14
    assert [math.trunc(proxy_of(1.5)), math.floor(proxy_of(1.5)), math.ceil(proxy_of(1.5))] == [1, 1, 2]
    assert math.sqrt(proxy_of(4)) == 2
    assert pow(proxy_of(3), 2, 5) == 4
    assert hex(proxy_of(255)) == "0xff"
    assert struct.pack("<id", proxy_of(1), proxy_of(2.0)) == struct.pack("<id", 1, 2.0)


def test_times_and_exact_numbers(proxy_of):
    day = dt.timedelta(days=1)
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert start + proxy_of(day) == start + day
    assert proxy_of(start) - start == dt.timedelta(0)
    assert start < proxy_of(start + day)
    assert decimal.Decimal("1.5") * proxy_of(2) == 3
    assert fractions.Fraction(1, 2) + proxy_of(1) == fractions.Fraction(3, 2)
    assert fractions.Fraction(proxy_of(3), 6) == fractions.Fraction(1, 2)


def test_paths(proxy_of, tmp_path):
    path = tmp_path / "file"
    path.write_text("text")
    assert os.fspath(proxy_of(str(path))) == str(path)
    with open(proxy_of(str(path))) as stream:
        assert stream.read() == "text"
    with open(proxy_of(path)) as stream:
        assert stream.read() == "text"
    assert os.path.join(proxy_of("a"), "b") == os.path.join("a", "b")
    assert tmp_path / proxy_of("file") == path


def test_collections(proxy_of):
    assert collections.Counter(proxy_of("aab")) == {"a": 2, "b": 1}
    assert collections.ChainMap(proxy_of({"a": 1}), {"b": 2})["b"] == 2
    assert list(itertools.chain(proxy_of([1]), proxy_of((2,)))) == [1, 2]
    assert list(zip(proxy_of([1]), proxy_of("a"), strict=True)) == [(1, "a")]
    assert list(map(proxy_of(str), proxy_of([1]))) == ["1"]
    target = []
    target.extend(proxy_of([1]))
    assert target == [1]
    assert {1} | proxy_of({2}) == {1, 2}
    assert {1}.union(proxy_of([2])) == {1, 2}


def test_comparison_of_two_proxies(proxy_of):
    assert proxy_of([1]) == proxy_of([1])
    assert proxy_of([1]) != proxy_of([2])
    assert proxy_of(1) < proxy_of(2)
    assert proxy_of("b") in proxy_of("abc")
    assert proxy_of(2) in proxy_of([1, 2])
    assert proxy_of(2) + proxy_of(3) == 5
    assert proxy_of("%d") % proxy_of(3) == "3"


def test_print_writes_the_target(proxy_of):
    stream = io.StringIO()
    print(proxy_of([1]), proxy_of("a"), file=stream)
    assert stream.getvalue() == "[1] a\n"

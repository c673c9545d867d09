"""Walk nested structures and replace their leaves, keeping types and shared parts."""

import enum
from collections import OrderedDict, defaultdict, namedtuple
from dataclasses import dataclass, field

import pytest

from psk import Proxy
from psk.errors import InvalidArgumentError, PskError
from psk_patterns.traversal import is_structure, leaves, transform

Pair = namedtuple("Pair", "left right")  # noqa: PYI024  both forms exist


@dataclass(frozen=True, slots=True)
class Point:
    x: object
    y: object


@dataclass
class Counting:
    value: object
    made: int = field(init=False)

    def __post_init__(self):
        self.made = 1


@dataclass
class Single:
    value: object

    def __copy__(self):
        return self


@dataclass
class Named:
    value: object

    def __reduce__(self):
        return "NAMED"


@dataclass
class Blob:
    data: object


class Kind(Blob, enum.Enum):
    ONE = 1


class Place(Pair, enum.Enum):
    HERE = 1, 2


def one_more(leaf):
    return leaf + 1 if type(leaf) is int else leaf


def bomb():
    raise AssertionError("a proxy was resolved")


def test_leaves_are_replaced_at_any_depth():
    structure = [1, (2, {"a": 3, "b": [Pair(4, Point(5, "six"))]})]
    assert transform(structure, one_more) == [2, (3, {"a": 4, "b": [Pair(5, Point(6, "six"))]})]
    assert structure == [1, (2, {"a": 3, "b": [Pair(4, Point(5, "six"))]})]


@pytest.mark.parametrize("structure", [[1], (1,), {"k": 1}, Pair(1, 2), Point(1, 2), OrderedDict(k=1)])
def test_types_are_kept(structure):
    changed = transform(structure, one_more)
    assert type(changed) is type(structure)
    assert changed != structure


def test_a_default_factory_is_kept():
    changed = transform(defaultdict(list, a=1), one_more)
    assert changed == {"a": 2}
    assert changed["missing"] == []


def test_what_did_not_change_is_the_original():
    kept = ["a", {"b": ("c",)}]
    structure = [kept, 1]
    changed = transform(structure, one_more)
    assert changed[0] is kept
    assert transform(kept, one_more) is kept


def test_what_is_shared_stays_shared_and_is_seen_once():
    leaf, seen = object(), []
    shared = [leaf]

    def replace(value):
        seen.append(value)
        return object()

    changed = transform([shared, shared, leaf], replace)
    assert changed[0] is changed[1]
    assert changed[0][0] is changed[2]
    assert seen == [leaf]


def test_plain_leaves_are_seen_once_each_and_in_order():
    seen, one, text = [], 10**30, "text"
    structure = [[one, None, one], {"a": text, "b": 2.5}, one, (text, b"b")]
    assert transform(structure, lambda leaf: seen.append(leaf) or leaf) is structure
    assert seen == [one, None, text, 2.5, b"b"]


def test_a_dataclass_is_rebuilt_without_its_init():
    counting = Counting(1)
    counting.made = 7
    changed = transform(counting, lambda leaf: "one" if leaf == 1 else leaf)
    assert (changed.value, changed.made) == ("one", 7)
    assert counting.value == 1


def test_a_field_that_was_never_set_stays_so():
    counting = object.__new__(Counting)
    counting.value = 1
    assert list(leaves(counting)) == [1]
    changed = transform(counting, one_more)
    assert changed.value == 2
    assert not hasattr(changed, "made")


@pytest.mark.parametrize("make", [lambda holder: holder, lambda holder: {"in": (holder,)}])
def test_a_cycle_is_a_typed_error(make):
    holder = []
    holder.append(make(holder))
    with pytest.raises(InvalidArgumentError, match="contains itself") as caught:
        transform(holder, one_more)
    assert isinstance(caught.value, PskError)
    with pytest.raises(InvalidArgumentError):
        leaves(holder)


def test_depth_is_no_limit():
    structure = 1
    for _ in range(100_000):
        structure = [structure]
    changed = transform(structure, one_more)
    for _ in range(100_000):
        (changed,) = changed
    assert changed == 2
    assert list(leaves(structure)) == [1]


def test_proxies_are_leaves_and_stay_unresolved():
    proxy = Proxy(bomb)
    found = list(leaves({"a": [proxy], "b": Point(proxy, 1)}))
    assert len(found) == 2
    assert found[0] is proxy
    assert not is_structure(proxy)
    assert transform([proxy], lambda leaf: leaf)[0] is proxy


def test_a_structure_can_be_replaced_whole():
    shown = []

    def whole_lists(value):
        shown.append(value)
        return len(value) if type(value) is list else value

    assert transform({"a": [1, 2], "b": (3,)}, whole_lists, leaves_only=False) == {"a": 2, "b": (3,)}
    assert [1, 2] in shown
    assert 1 not in shown


@pytest.mark.parametrize("leaf", [Kind.ONE, Place.HERE, Single(1), Named(1)])
def test_what_there_is_only_one_of_is_a_leaf_and_stays_as_it_is(leaf):
    assert not is_structure(leaf)
    before = repr(leaf)
    assert transform({"k": leaf}, one_more)["k"] is leaf
    assert list(leaves([leaf])) == [leaf]
    assert repr(leaf) == before


@pytest.mark.parametrize("leaf", [None, 1, "text", {1, 2}, frozenset({1}), Point, b"", range(3)])
def test_everything_else_is_a_leaf(leaf):
    assert not is_structure(leaf)
    assert list(leaves(leaf)) == [leaf]
    assert transform(leaf, lambda _: "new") == "new"

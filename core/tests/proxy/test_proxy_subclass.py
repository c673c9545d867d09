"""Proxy can be subclassed, with operations and state of the subclass."""

import pytest

from psk.proxy import Proxy, is_resolved
from psk.proxy.target import public_class


class Owned(Proxy):
    """A proxy with an owner."""

    __slots__ = ("__proxy_owner__",)

    def __init__(self, factory, owner):
        super().__init__(factory)
        self.__proxy_owner__ = owner

    def __len__(self):
        return -super().__len__() * -10

    def __proxy_describe__(self):
        return f"{self.__proxy_owner__}: {len(self)}"


class Guarded(Proxy):
    """A proxy that refuses one attribute."""

    def __getattribute__(self, name):
        if name == "secret":
            raise PermissionError(name)
        return super().__getattribute__(name)


class Generic(Proxy[int]):
    __slots__ = ()


def test_overridden_operations_hold_in_every_state():
    owned = Owned(lambda: [1, 2, 3], "me")
    for _ in range(3):
        assert len(owned) == 30
        assert owned[0] == 1
        assert owned.count(1) == 1
        assert owned.__proxy_owner__ == "me"
        assert owned.__proxy_describe__() == "me: 30"
        assert isinstance(owned, Owned)
        assert isinstance(owned, list)
    del owned.__proxy_wrapped__
    assert not is_resolved(owned)
    assert public_class(owned) is Owned
    assert owned.__proxy_owner__ == "me"


def test_own_attribute_access_holds_in_every_state():
    guarded = Guarded(lambda: [1])
    for _ in range(3):
        assert guarded.count(1) == 1
        assert len(guarded) == 1
        with pytest.raises(PermissionError):
            _ = guarded.secret


def test_a_subclass_of_a_subclass_works():
    class Deeper(Owned):
        __slots__ = ()

        def __getitem__(self, key):
            return f"item {key}"

    deeper = Deeper(lambda: [1, 2], "you")
    for _ in range(3):
        assert (len(deeper), deeper[0], deeper.count(1)) == (20, "item 0", 1)
    assert type(deeper).__name__ == "Deeper"


def test_a_subclass_of_a_parametrised_proxy_works():
    proxy = Generic(lambda: 3)
    assert [proxy + 1, proxy == 3, proxy.bit_length()] == [4, True, 2]


def test_class_options_of_other_bases_are_passed_on():
    class Base:
        __slots__ = ()

        def __init_subclass__(cls, flavour="none", **options):
            super().__init_subclass__(**options)
            cls.flavour = flavour

    class Mixed(Proxy, Base, flavour="sweet"):
        __slots__ = ()

    assert Mixed.flavour == "sweet"

"""The repr of a proxy shows its state, and never resolves it."""

from psk.proxy import Proxy, is_resolved, make_proxy, resolve


class Named:
    def __repr__(self):
        return "Named()"

    def __call__(self):
        return [1, 2]


def test_an_unresolved_proxy_shows_its_factory_and_stays_unresolved():
    proxy = Proxy(Named())
    assert repr(proxy) == "<unresolved Proxy: Named()>"
    assert not is_resolved(proxy)
    assert repr(make_proxy(Named(), list)) == "<unresolved Proxy of list: Named()>"


def test_a_resolved_proxy_shows_that_it_is_one_and_its_target():
    proxy = Proxy(Named())
    resolve(proxy)
    assert repr(proxy) == "<Proxy: [1, 2]>"
    assert repr([proxy]) == "[<Proxy: [1, 2]>]"
    assert f"{proxy!r}" == "<Proxy: [1, 2]>"


def test_text_forms_are_the_targets(proxy_of):
    assert str(proxy_of("abc")) == "abc"
    assert f"{proxy_of(3.14159):.2f}" == "3.14"
    assert "{:>4}".format(proxy_of("a")) == "   a"
    assert "%s %d" % (proxy_of("a"), proxy_of(3)) == "a 3"  # noqa: UP031


def test_a_target_that_contains_its_proxy_can_be_shown():
    target = []
    proxy = Proxy(lambda: target, target=target or None)
    target.append(proxy)
    resolve(proxy)
    assert repr(proxy) == "<Proxy: [<Proxy: [...]>]>"

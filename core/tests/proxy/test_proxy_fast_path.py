"""The fast path changes the class of proxies in use, and can be switched off."""

import operator
import subprocess
import sys

import pytest

from psk.proxy import Proxy

CODE = """
from psk.proxy import Proxy
p = Proxy(lambda: [1, 2])
print(len(p), p[0], type(p).__proxy_fast__, p == [1, 2], p.index(2))
"""


def test_a_proxy_in_use_takes_its_fast_form_only_where_that_is_on(fast_path):
    proxy = Proxy(lambda: [1, 2])
    assert len(proxy) == 2
    assert not type(proxy).__proxy_fast__
    assert proxy[0] == 1
    assert type(proxy).__proxy_fast__ is fast_path
    assert (len(proxy), proxy[1], proxy == [1, 2], proxy.index(2)) == (2, 2, True, 1)


def test_a_fast_proxy_can_be_unresolved_and_replaced():
    proxy = Proxy(lambda: [1, 2])
    assert len(proxy) == proxy[1] == 2
    proxy.__proxy_wrapped__ = "abc"
    assert (len(proxy), proxy[0], proxy.upper()) == (3, "a", "ABC")
    del proxy.__proxy_wrapped__
    assert (len(proxy), proxy[0]) == (2, 1)


OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "lshift", "rshift", "and_", "xor", "or_", "pow")


def calls_during(operation, *operands):
    """Count the calls of Python functions."""
    calls = []
    sys.setprofile(lambda _frame, event, _argument: calls.append(event) if event == "call" else None)
    try:
        operation(*operands)
    finally:
        sys.setprofile(None)
    return len(calls)


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_of_a_number_in_use_runs_no_python_code(name, fast_path):
    proxy, operation = Proxy(lambda: 12), getattr(operator, name)
    assert [operation(proxy, 3) for _ in range(3)] == [operation(12, 3)] * 3
    assert (calls_during(operation, proxy, 3) == 0) is fast_path


@pytest.mark.parametrize("target", [None, object(), [1], 1.5])
def test_an_operator_that_a_target_in_use_does_not_have_fails_as_on_the_target(target):
    proxy = Proxy(lambda: target)
    with pytest.raises(TypeError) as expected:
        target << 2
    for _ in range(3):
        assert proxy.__doc__ == target.__doc__
        with pytest.raises(TypeError, match="unsupported operand") as error:
            proxy << 2
        assert str(error.value) == str(expected.value)


@pytest.mark.parametrize(("text", "value"), [("%s", 1), ("%s-%s", (1, 2)), ("%(a)s", {"a": 1}), (b"%d", 3)])
def test_a_text_in_use_is_formatted_with_a_target(text, value):
    proxy, other = Proxy(lambda: text), Proxy(lambda: value)
    assert [proxy % other for _ in range(3)] == [text % value] * 3


def test_an_operator_that_a_subclass_overrides_stays_its_own():
    class Counting(Proxy):
        __slots__ = ()

        def __add__(self, other):
            return "own", other

    proxy = Counting(lambda: 1)
    assert [(proxy + 2, proxy - 1) for _ in range(3)] == [(("own", 2), 0)] * 3


@pytest.mark.parametrize(("setting", "fast"), [(None, True), ("1", True), ("0", False)])
def test_an_environment_variable_switches_it_off(setting, fast, monkeypatch):
    monkeypatch.delenv("PSK_FAST_PROXIES")
    if setting is not None:
        monkeypatch.setenv("PSK_FAST_PROXIES", setting)
    done = subprocess.run([sys.executable, "-c", CODE], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == f"2 1 {fast} True 1\n"

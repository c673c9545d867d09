"""The fast path changes the class of proxies in use, and can be switched off."""

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


@pytest.mark.parametrize(("setting", "fast"), [(None, True), ("1", True), ("0", False)])
def test_an_environment_variable_switches_it_off(setting, fast, monkeypatch):
    monkeypatch.delenv("PSK_FAST_PROXIES")
    if setting is not None:
        monkeypatch.setenv("PSK_FAST_PROXIES", setting)
    done = subprocess.run([sys.executable, "-c", CODE], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout == f"2 1 {fast} True 1\n"

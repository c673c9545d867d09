"""The plain channel of the tests has the capabilities it is given and no others."""

import pickle

import pytest
from plain_channel import POWERS

import psk
from psk import connectors
from psk.errors import CapabilityError
from psk_patterns.leases import reopened


@pytest.mark.parametrize("power", POWERS)
def test_a_power_is_there_or_not(plain_store, power):
    protocol = getattr(connectors, f"Supports{power.capitalize()}")
    assert plain_store(power, channel="local://plain").supports(protocol)
    others = plain_store(*(set(POWERS) - {power}), channel="local://plain")
    assert not others.supports(protocol)
    assert all(others.supports(other) for other in connectors.CAPABILITIES[:8] if other is not protocol)


def test_a_bare_channel_keeps_objects_and_no_time(plain_store):
    store = plain_store()
    proxy = store.proxy([1, 2, 3], populate_target=False)
    assert pickle.loads(pickle.dumps(proxy)) == [1, 2, 3]
    with pytest.raises(CapabilityError):
        store.put("brief", ttl=1)
    store.close()
    with reopened(store) as again:
        assert again.exists(psk.get_key(proxy))
        assert again.uri == store.uri

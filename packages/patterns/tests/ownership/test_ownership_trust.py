"""Check signatures, trust and form of what arrives before it can own anything."""

import pickle

import pytest

from psk.errors import PskError, SignatureError, UnsignedError, UntrustedChannelError
from psk.wire import set_signing_key
from psk_patterns import owned_proxy, release, withdraw
from psk_patterns.deferred_cleanup import flush
from psk_patterns.errors import ReferenceInvalidError
from psk_patterns.ownership import accept


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("garbage", [None, 7, "text", print])
def test_forged_parts_are_refused(local_store, position, garbage):
    owner = owned_proxy(local_store, [1])
    restore, parts = owner.__reduce_ex__(4)
    forged = [*parts[:position], garbage, *parts[position + 1 :]]
    if position >= 3 and garbage == 7:
        return withdraw(owner)
    with pytest.raises(PskError):
        restore(*forged)
    with pytest.raises(PskError):
        restore()
    withdraw(owner)
    return release(owner)


def test_signed_offers_are_checked_and_cannot_be_mixed(open_channel, policy):
    set_signing_key("moves", b"k" * 32)
    store = open_channel("local", signing_key="moves")
    policy(signing="required")
    first, second = owned_proxy(store, [1]), owned_proxy(store, [2])
    (restore, one), (_, two) = first.__reduce_ex__(4), second.__reduce_ex__(4)
    mixed = restore(two[0], one[1], one[2], *one[3:])
    with pytest.raises(ReferenceInvalidError):
        accept(mixed)
    unsigned = pickle.loads(pickle.dumps(one[:3]))
    for part in unsigned:
        part.reference = part.reference._replace(signed_by="", mac=b"")
    with pytest.raises(UnsignedError):
        accept(restore(*unsigned, *one[3:]))
    for position, part in enumerate(unsigned):
        with pytest.raises(ReferenceInvalidError, match="one signer"):
            restore(*one[:position], part, *one[position + 1 :])
    forged = pickle.loads(pickle.dumps(one[2]))
    forged.reference = forged.reference._replace(mac=bytes(16))
    with pytest.raises(SignatureError):
        accept(restore(*one[:2], forged, *one[3:]))
    arrived = pickle.loads(pickle.dumps(first))
    assert arrived[0] == 1
    release(arrived)
    release(pickle.loads(pickle.dumps(second)))
    flush()
    assert store.list() == []


def test_an_untrusted_channel_is_not_opened_for_what_arrives(shared_store, policy):
    owner = owned_proxy(shared_store, [1])
    arrived = pickle.loads(pickle.dumps(owner))
    policy(trusted=["local://*"])
    with pytest.raises(UntrustedChannelError):
        accept(arrived)
    policy()
    accept(arrived)
    release(arrived)

"""`psk plugins check` names the rule that a connector breaks and how to fix it."""

import json
import os
import time

import pytest

from psk.cli import Exit
from psk_testing.rules import RULES

pytestmark = pytest.mark.usefixtures("impatient")

FAULTY = '''
    """Connectors of one fault each, by the name of the fault."""

    import time
    from psk.connectors import Frames
    from psk.connectors.local import LocalConnector
    from psk.errors import KeyExistsError
    from psk.plugins import ConnectorPlugin, hookimpl

    def copied(frames):
        return None if frames is None else Frames([b"".join([bytes(it) for it in frames.buffers])])

    class Overwrites(LocalConnector):
        def put(self, payload, **options):
            try:
                return super().put(payload, **options)
            except KeyExistsError:
                self.evict(payload.key)
                return super().put(payload, **options)

    class Aliasing(LocalConnector):
        kept = {}
        def put(self, payload, **options):
            self.kept[payload.key] = payload
            return super().put(payload, **options)
        def get(self, key, **options):
            frames = super().get(key, **options)
            return frames if frames is None or key not in self.kept else Frames([self.kept[key].tobytes()])

    class TakesAnyKey(LocalConnector):
        def get(self, key, **options):
            return super().get(key, **options) if len(key) == 32 and key.islower() else None

    class TakesAnyTimeout(LocalConnector):
        def put(self, payload, *, timeout=None, **options):
            return super().put(payload, **options)

    class PutsTwice(LocalConnector):
        def put(self, payload, **options):
            if super().exists(payload.key):
                raise KeyExistsError("it is there already")
            return super().put(payload, **options)

    class EvictsNothing(LocalConnector):
        def evict(self, key, **options):
            return super().exists(key, **options) and None

    class ChangesBytes(LocalConnector):
        def get(self, key, **options):
            frames = copied(super().get(key, **options))
            return None if frames is None else Frames([frames.buffers[0][:-1]])

    class InventsObjects(LocalConnector):
        def exists(self, key, **options):
            super().exists(key, **options)
            return True

    class SharesMemory(LocalConnector):
        shared = {}
        def get(self, key, **options):
            frames = copied(super().get(key, **options))
            if frames is not None:
                frames = Frames([self.shared.setdefault(key, bytearray(frames.buffers[0]))])
            return frames

    class BelievesSize(LocalConnector):
        def get(self, key, *, size=None, timeout=None):
            frames = copied(super().get(key, timeout=timeout))
            return frames if frames is None or size is None else Frames([frames.buffers[0][:size]])

    class ForgetsItsName(LocalConnector):
        def config(self):
            return {"scheme": self.scheme, "name": "elsewhere"}

    class TakesAnyOption(LocalConnector):
        @classmethod
        def from_config(cls, config):
            return cls(config.get("authority"))

    class ClosesTooMuch(LocalConnector):
        def close(self, timeout=None):
            if self._space is not None:
                self.clear()
            super().close()

    class NeverCloses(LocalConnector):
        def close(self, timeout=None):
            pass

    class PromisesTheSky(LocalConnector):
        durabilities = ("eternal",)

    class KeepsForEver(LocalConnector):
        def put(self, payload, *, ttl=None, **options):
            return super().put(payload, **options)

    class TwoWinners(LocalConnector):
        def take(self, key, claim, **options):
            return self.get(key)

    class SwapsAnything(LocalConnector):
        def swap(self, key, payload, **options):
            if self.exists(key):
                self.evict(key)
            self.put(payload)

    class ListsNothing(LocalConnector):
        def keys(self, **options):
            return iter(())

    class WaitsForNobody(LocalConnector):
        def wait(self, keys, *, timeout=None):
            return []

    class CountsFromOne(LocalConnector):
        def get_range(self, key, offset, length, **options):
            return super().get_range(key, offset + 1, length, **options)

    class MixesAnswers(LocalConnector):
        def get_batch(self, keys, **options):
            return sorted(super().get_batch(keys, **options), key=lambda it: it is None)

    class OddKey(LocalConnector):
        def put(self, payload, **options):
            super().put(payload, **options)
            return payload.object_id

    class RaisesAnything(LocalConnector):
        def get(self, key, **options):
            raise ValueError("some failure")

    class NoTimeout(LocalConnector):
        def exists(self, key):
            return super().exists(key)

    class HalfAPower(LocalConnector):
        take_back = None
        get_batch = None

    class Hangs(LocalConnector):
        def exists(self, key, *, timeout=None):
            time.sleep(3600)

    class OpensBadly(LocalConnector):
        @classmethod
        def from_config(cls, config):
            raise KeyError("host")

    FAULTS = {kind.__name__.lower(): kind for kind in LocalConnector.__subclasses__() if kind.__module__ == __name__}
    for name, kind in FAULTS.items():
        kind.scheme = f"their-{name}"

    @hookimpl
    def psk_connectors():
        return [
            ConnectorPlugin(schemes=[kind.scheme], target=f"their_faulty:{kind.__name__}") for kind in FAULTS.values()
        ]
'''

#: Which rule each of them breaks, as the check is to say.
BROKEN = {
    "overwrites": "C16",
    "aliasing": "C17",
    "takesanykey": "C3",
    "takesanytimeout": "C6",
    "putstwice": "C15",
    "evictsnothing": "C28",
    "changesbytes": "C21",
    "inventsobjects": "C27",
    "sharesmemory": "C23",
    "believessize": "C25",
    "forgetsitsname": "C36",
    "takesanyoption": "C36",
    "closestoomuch": "C34",
    "nevercloses": "C10",
    "promisesthesky": "C32",
    "keepsforever": "C44",
    "twowinners": "C47",
    "swapsanything": "C51",
    "listsnothing": "C55",
    "waitsfornobody": "C42",
    "countsfromone": "C54",
    "mixesanswers": "C43",
    "oddkey": "C2",
    "raisesanything": "C21",
    "notimeout": "C6",
    "halfapower": "C39",
    "opensbadly": "C36",
}


@pytest.fixture
def faulty(shelf):
    names = [*BROKEN, "hangs"]
    shelf.add("their-faulty", {f"connector.their-{it}": "their_faulty" for it in names}, {"their_faulty": FAULTY})


@pytest.mark.parametrize("fault", BROKEN)
def test_the_broken_rule_is_named_with_a_fix(psk, faulty, fault, monkeypatch):
    # So short that on a busy machine a rule more may seem broken, which does not matter here.
    monkeypatch.setattr("psk_testing.checking.capabilities.SHORT_SECONDS", 0.02)
    done = psk("plugins", "check", f"their-{fault}://test-{os.urandom(4).hex()}", "--json")
    assert done.code == Exit.NO
    failed = [check for check in done.document["checks"] if check["outcome"] == "failed"]
    assert BROKEN[fault] in [check["rule"] for check in failed]
    assert all(check["detail"] and check["fix"] for check in failed)
    assert all(check["rule_text"] == RULES[check["rule"]] for check in failed)
    if fault == "raisesanything":
        assert "ValueError, which is not an error of psk.errors (C5)" in failed[0]["detail"]


def test_a_failure_is_readable(psk, faulty):
    done = psk("plugins", "check", "their-overwrites://test-readable")
    assert done.code == Exit.NO
    assert "failed  C16  put never overwrites\n" in done.out
    assert f"rule C16 of docs/contract.md: {RULES['C16']}\n" in done.out
    assert "likely fix: place it so that only the first wins" in done.out


def test_a_call_that_hangs_ends_the_check(command, faulty, shelf):
    begin = time.monotonic()
    words = ("plugins", "check", "their-hangs://test-hanging", "--timeout", "0.1", "--json")
    done = command(*words, folders=[shelf.folder])
    assert done.returncode == Exit.NO
    assert time.monotonic() - begin < 20
    document = json.loads(done.stdout)
    (failed, *_) = [check for check in document["checks"] if check["outcome"] == "failed"]
    assert (failed["rule"], "(C5)" in failed["detail"]) == ("C27", True)
    assert document["speed"] is None

"""Run a reader against every hostile object: one object of a child process prepares, another call acts."""

from __future__ import annotations

import json
import os
import random
import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import psk
from hostile.payloads import dressed, hostile_payloads
from hostile.references import hostile_references
from psk.errors import PskError
from psk.store import close_opened_stores, restore_proxy, set_policy
from psk.wire import encode

#: Address space that everything together may take beyond what the process has before: no claimed size comes true.
ROOM = 256 << 20
#: What raw codecs decode to: data that does nothing. None stands for what is not there, or no longer.
PLAIN = (bytes, bytearray, str, memoryview, type(None))
#: What a plug-in's entry points lead to: a module whose import, and whose connector's opening, would be noticed.
PLUGIN = """
import psk, socket
from pathlib import Path
Path({path!r}).touch()

class Canary(psk.FileConnector):
    @classmethod
    def from_config(cls, config):
        socket.create_connection(({host!r}, {port})).close()
        raise psk.errors.ConnectorError("closed")

CODEC = None

@psk.hookimpl
def psk_connectors():
    from psk.plugins import ConnectorPlugin
    return [ConnectorPlugin(schemes=["canary"], target="hostile_canary_module:Canary")]

@psk.hookimpl
def psk_codecs():
    from psk.plugins import CodecPlugin
    return [CodecPlugin("canary", target="hostile_canary_module:CODEC")]
"""
ENTRY_POINTS = "[psk]\nconnector.canary = hostile_canary_module\ncodec.canary = hostile_canary_module\n"
METADATA = "Metadata-Version: 2.1\nName: hostile-canary\nVersion: 1\n"


class Trial:
    """A reader with a signed store and rules of its process, and all that is thrown at it.

    Args:
        folder: An empty directory.
        host: Where a listener waits for connections.
        port: Its port.
        seed: Of everything random.
        payloads: How many hostile payloads at least.
        references: How many hostile references at least.
        raw: Whether the store decodes raw codecs alone, instead of what is signed alone.
        chosen: Pairs of gadget and dressing, or beginnings of URIs: if there are any, then only these.
    """

    def __init__(self, folder, host, port, *, seed, payloads=0, references=0, raw=False, chosen=()):
        self.folder = Path(folder)
        self.random = random.Random(seed)
        self.counts = payloads, references
        self.raw = raw
        self.chosen = chosen
        #: A raw codec whose library may be imported, as SECURITY.md says.
        self.allowed_imports = {b"torch"} if raw else set()
        self.canary = SimpleNamespace(
            path=str(self.folder / "canary"),
            script=str(self.folder / "site/hostile_canary_module.py"),
            module="hostile_canary_module",
            host=host,
            port=port,
        )
        self.bad = []
        self.tried = 0

    def prepare(self):
        """Open the store, write what is hostile, and load what psk loads by itself at its first refusals."""
        self._install_plugin()
        psk.set_signing_key("team", self.random.randbytes(32))
        psk.set_signing_key("other", self.random.randbytes(32))
        os.environ["PSK_KEY_DIR"] = str(self.folder / "keys")
        (self.folder / "keys").mkdir(mode=0o700)
        self.objects = self.folder / "objects"
        rules = (
            {"codecs": "raw"}
            if self.raw
            else {"signing_key": "team", "signing": self.random.choice(("required", None))}
        )
        self.store = psk.Store("reader", f"file://{self.objects}", **rules)
        self.uri = self.store.uri
        pairs = [pair for pair in self.chosen if isinstance(pair, tuple)]
        starts = tuple(start for start in self.chosen if isinstance(start, str))
        self.payloads = [dressed(self, self.random, *pair) for pair in pairs]
        if not self.chosen:
            self.payloads = hostile_payloads(self, self.random, self.counts[0])
        for _, key, forged in self.payloads:
            self._plant(key, forged)
        self.planted = [key for _, key, _ in self.payloads] or [32 * "0"]
        self.references = hostile_references(self, self.random, self.counts[1])
        if self.chosen:
            self.references = [case for case in self.references if starts and str(case[1]).startswith(starts)]
        self.good = self.store.put(b"good")
        self.good_body = psk.get_factory(self.store.proxy(b"good")).reference.to_bytes()
        self.report = open(self.folder / "report.json", "w")  # noqa: SIM115  closed with the process
        self._warm_up()
        self.before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))

    def act(self):
        """Meet it all, under each set of rules, and write down what was no typed error."""
        rules = self.rules()
        for registered, policy in rules:
            set_policy(**policy)
            if registered:
                psk.register_store(self.store)
            for name, key, _ in self.payloads:
                self._meet(name, self.store.get, key)
                self._meet(name, self._resolve_object, key)
            for name, uri, body in self.references:
                # Where no signature is needed, a way round the store by several channels leads to what is trusted.
                if "signing" in policy or not str(uri).startswith("multi"):
                    self._meet(name, self._resolve, uri, body)
            psk.unregister_store(self.store)
            close_opened_stores()
        set_policy()
        self._check_that_honest_things_work()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.before
        json.dump({"tried": self.tried, "bad": self.bad, "grown": grown * 1024}, self.report)
        self.report.flush()

    def rules(self):
        """Give the rules under which a store and its process meet hostile things."""
        if self.raw:
            return [(True, {"trusted": [self.uri]}), (False, {"codecs": "raw", "trusted": [self.uri]})]
        return [
            (True, {"signing": "required"}),
            (True, {"trusted": [self.uri]}),
            (False, {"signing": "required", "trusted": [self.uri]}),
            (False, {"signing": "required", "codecs": "raw"}),
        ]

    def put_honestly(self):
        """Put an object as the key's holder does; give its key, and its bytes as the channel's other users see them."""
        obj = self.random.choice((b"cos\nsystem\n(S'id'\ntR.", ["honest"], "honest", {"size": 1 << 20}))
        key = self.store.put(obj)
        return key, (self.objects / key).read_bytes()

    def refer_honestly(self):
        """Give the key and the reference of an object as the key's holder would send it."""
        reference = psk.get_factory(self.store.proxy(["honest"])).reference
        return reference.key, reference.to_bytes()

    def _plant(self, key, forged):
        place = self.objects / key
        place.unlink(missing_ok=True)
        place.write_bytes(forged)
        place.chmod(0o400)

    def _resolve_object(self, key):
        reference = psk.wire.Reference(self.uri, key)
        if not self.raw:
            reference = reference.sign(psk.wire.find_signing_key("team"))
        return self._resolve(self.uri, reference.to_bytes())

    def _resolve(self, uri, body):
        return psk.extract(restore_proxy(uri, body))

    def _meet(self, name, call, *arguments):
        self.tried += 1
        try:
            value = call(*arguments)
        except PskError as error:
            cause = getattr(error, "cause", None)
            if not isinstance(cause, PskError | None):
                self.bad.append(f"{name}: {cause!r:.200}")
        except BaseException as error:  # noqa: BLE001  whatever it is, it is no typed error
            self.bad.append(f"{name}: {error!r:.200}")
        else:
            if not self.raw or type(value) not in PLAIN:
                self.bad.append(f"{name}: gave {value!r:.200}")

    def _check_that_honest_things_work(self):
        if self.store.get(self.good) != b"good" or self._resolve(self.uri, self.good_body) != b"good":
            self.bad.append("what is honest was refused")

    def _install_plugin(self):
        site = self.folder / "site"
        information = site / "hostile_canary-1.dist-info"
        information.mkdir(parents=True)
        canary = vars(self.canary)
        Path(self.canary.script).write_text(PLUGIN.format(**canary))
        (information / "entry_points.txt").write_text(ENTRY_POINTS)
        (information / "METADATA").write_text(METADATA)
        sys.path.insert(0, str(site))

    def _warm_up(self):
        """Refuse once, harmlessly, what psk imports a module of its own for, or of the standard library."""
        import psk.credentials  # looks for a signing key
        import psk.wire.explain_failure  # describes what raw codecs cannot decode

        lost = f"{self.random.randrange(1 << 128):032x}"
        unsigned = encode(b"unsigned")
        self._plant(unsigned.key, unsigned.tobytes())
        for policy in ({"signing": "required"}, {"trusted": [self.uri]}):
            set_policy(**policy)
            for uri in (self.uri, f"{self.uri}%20x", "multi://a?to1=shm:%2F%2Fx", "redis://nowhere"):
                for key in (lost, unsigned.key):
                    try:
                        self._resolve(uri, psk.wire.Reference(uri, key).to_bytes())
                    except PskError:
                        continue
        set_policy()
        self._check_that_honest_things_work()
        close_opened_stores()

"""This psk and the previous release read each other's payloads, references and plug-ins.

The rule that is tested stands in docs/plugins.md. Until there is a release, this psk stands in for it when PSK_PREVIOUS
names a wheel of psk-core; else these tests are skipped.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

import psk
from faults.distributions import CONNECTOR, PLUGIN, install
from faults.pythons import uv

ROOT = Path(__file__).parents[1]
TAG = "psk-core-v"

WRITE = """
import json, pickle, sys
import psk
psk.set_signing_key("team", "0123456789abcdef0123456789abcdef")
uri, out = sys.argv[1:]
objects = [b"bytes", bytearray(b"x" * 100_000), "text", [1, {"a": (2.5, None)}], {"large": b"y" * 300_000}]
with psk.Store("plain", uri) as plain, psk.Store("signed", uri, signing_key="team") as signed:
    proxies = [store.proxy(obj, populate_target=False) for store in (plain, signed) for obj in objects]
    with open(out, "wb") as file:
        pickle.dump([objects + objects, proxies, plain.config()], file)
"""
READ = """
import pickle, sys
import psk
psk.set_signing_key("team", "0123456789abcdef0123456789abcdef")
with open(sys.argv[2], "rb") as file:
    objects, proxies, config = pickle.load(file)
for obj, proxy in zip(objects, proxies, strict=True):
    target = psk.extract(proxy)
    assert target == obj and type(target) is type(obj), obj
assert psk.Store.from_config(config).get(psk.get_key(proxies[0])) == objects[0]
print("read", psk.__version__)
"""
USE = """
import json, psk
from psk.plugins import installed
with psk.Store.from_uri("theirs://name") as store:
    assert store.get(store.put([1])) == [1]
    store.clear()
import their_observer
statuses = {row.status for row in installed() if row.name == "theirs"}
print(json.dumps([sorted(set(their_observer.events)), sorted(statuses)]))
"""
OBSERVER = """
    from psk import hookimpl
    events = []
    @hookimpl
    def psk_after_put(store, key, nbytes, seconds): events.append("put")
    @hookimpl
    def psk_after_get(key): events.append("get")
"""


def previous_release():
    """Give the tag of the latest release of the core that is not the version here; None if there is none."""
    listed = subprocess.run(
        ["git", "tag", "--list", f"{TAG}*"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    released = [tag for tag in listed if re.fullmatch(r"[0-9.]+", tag.removeprefix(TAG))]
    older = [tag for tag in released if Version(tag.removeprefix(TAG)) < Version(psk.__version__)]
    return max(older, key=lambda tag: Version(tag.removeprefix(TAG)), default=None)


@pytest.fixture(scope="module")
def previous(tmp_path_factory):
    """The interpreter of an environment that holds the previous release of the core, and pluggy."""
    place = tmp_path_factory.mktemp("previous")
    wheel = os.environ.get("PSK_PREVIOUS")
    if wheel is None:
        tag = previous_release()
        if tag is None:
            pytest.skip(f"no release yet: no tag {TAG}* is older than {psk.__version__}")
        archive = subprocess.run(["git", "archive", tag, "core"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", place], input=archive, check=True)
        uv("build", "--quiet", "--wheel", "--out-dir", place, place / "core")
        wheel = next(place.glob("psk_core-*.whl"))
    uv("venv", "--quiet", "--python", sys.executable, place / "environment")
    uv("pip", "install", "--quiet", "--python", place / "environment", wheel, "pluggy")
    return str(place / "environment/bin/python")


def run(python, program, *arguments, path=()):
    """Run a program; without what else is installed for tests, so that both sides see the same."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PSK_", "PYTHON"))}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
    command = [python, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("writer", ["previous", "this"])
def test_payloads_and_references_are_read_by_both(previous, tmp_path, writer):
    places = f"file://{tmp_path}/objects", tmp_path / "sent"
    pythons = [previous, sys.executable] if writer == "previous" else [sys.executable, previous]
    run(pythons[0], WRITE, *places)
    assert run(pythons[1], READ, *places).startswith("read")


def test_a_plugin_of_the_previous_release_works_with_this_one(previous, tmp_path):
    requires = [f"psk-core>={run(previous, 'import psk; print(psk.__version__)').strip()}", "pluggy"]
    modules = {"their_plugin": PLUGIN, "their_connector": CONNECTOR, "their_observer": OBSERVER}
    names = {"connector.theirs": "their_plugin", "observer.theirs": "their_observer"}
    install(tmp_path, "their-plugin", names, modules, requires=requires)
    for python in (previous, sys.executable):
        events, statuses = json.loads(run(python, USE, path=[tmp_path]))
        assert events == ["get", "put"]
        assert statuses == ["ok"]

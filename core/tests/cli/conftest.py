"""How do tests run the command? In a process of its own as users do, or within this one where only speed matters."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from faults.distributions import install
from faults.temporary import bare_environment
from psk.cli import main
from psk.plugins import outcomes
from psk.wire import registry


@pytest.fixture
def command(tmp_path):
    """Run `psk` in a process of its own, in an empty directory: `command("plugins", "list", input=b"...")`."""

    def run(*words, folders=(), **options):
        environment = bare_environment()
        environment["PYTHONPATH"] = os.pathsep.join(map(str, folders))
        environment |= options.pop("env", {})
        options = {"cwd": tmp_path, "env": environment, "capture_output": True, "timeout": 60, **options}
        return subprocess.run([sys.executable, "-m", "psk", *map(str, words)], check=False, **options)

    return run


@pytest.fixture
def psk(capsys, monkeypatch):
    """Run `psk` within this process; gives exit code, stdout, stderr, and the document if there is one."""
    for name in os.environ.keys() - bare_environment().keys():
        monkeypatch.delenv(name)

    def run(*words):
        capsys.readouterr()  # what fixtures have said
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        document = json.loads(out) if "--json" in words else None
        return SimpleNamespace(code=code, out=out, err=err, document=document)

    return run


class Shelf:
    """A folder of distributions that this process and others can have on their path."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def add(self, distribution, entry_points, modules=(), *, version="1.2", requires=("psk-core>=0.1,<0.2",)):
        """Install a distribution: entry points by name, modules by name as text."""
        install(self.folder, distribution, entry_points, modules, version=version, requires=requires)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Plug-ins to be installed for this process, and forgotten afterwards."""
    opened = Shelf(tmp_path / "shelf")
    monkeypatch.syspath_prepend(opened.folder)
    before, codecs, kinds = set(sys.modules), dict(registry._by_name), dict(registry._by_type)
    yield opened
    for kept, known in ((registry._by_name, codecs), (registry._by_type, kinds)):
        kept.clear()
        kept.update(known)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(opened.folder)):
            del sys.modules[name]
    for kept in (outcomes.loaded, outcomes.failures):
        for key in [key for key in kept if key[1].startswith("their")]:
            del kept[key]


@pytest.fixture
def impatient(monkeypatch):
    """Let checks of plug-ins measure and wait for as little as they can."""
    monkeypatch.setattr("psk.cli.checking.speed.MOST_LARGE", 1)
    monkeypatch.setattr("psk.cli.checking.speed.LARGE_BYTES", 4_000_000)
    monkeypatch.setattr("psk.cli.checking.powers.WAKE_UPS", 2)
    monkeypatch.setattr("psk.cli.checking.powers.SHORT_SECONDS", 0.1)


@pytest.fixture
def write(tmp_path):
    """Write bytes to a file and give its path."""

    def to_file(data, name="object"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return to_file

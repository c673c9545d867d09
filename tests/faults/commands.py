"""Run the command `psk`: in a process of its own, as users do, or within this one; and install plug-ins for it."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from faults.distributions import install
from faults.temporary import bare_environment
from psk.cli import main
from psk.cli.commands import find_command
from psk.plugins import discovery
from psk.wire import codecs


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


@pytest.fixture
def run_example(tmp_path):
    """Run the example of a command, as its help shows it, in a shell that finds `psk` and a file `note.txt`."""

    def run(name):
        shim = tmp_path / "bin" / "psk"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m psk "$@"\n')
        shim.chmod(0o755)
        (tmp_path / "note.txt").write_text("a note\n")
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", find_command(name).example],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

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
    before, names, kinds = set(sys.modules), dict(codecs._by_name), dict(codecs._by_type)
    yield opened
    for kept, known in ((codecs._by_name, names), (codecs._by_type, kinds)):
        kept.clear()
        kept.update(known)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(opened.folder)):
            del sys.modules[name]
    for kept in (discovery.loaded, discovery.failures):
        for key in [key for key in kept if key[1].startswith("their")]:
            del kept[key]

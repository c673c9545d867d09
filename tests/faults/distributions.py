"""Install distributions for tests as an installer does: modules, and a folder of metadata."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import zipfile

from faults.temporary import bare_environment

REQUIRED = ("psk-core>=0.1,<0.2", "pluggy>=1.5")
#: What every program begins with: `say` prints a line for the test, `error_of` gives class and message of a failure.
PRELUDE = """
import json, sys
import psk
from psk import errors, plugins
from psk.plugins import installed, load, load_target
def say(*values):
    print(json.dumps(values[0] if len(values) == 1 else values, default=str))
def error_of(call):
    try:
        return ["no error", str(call())]
    except psk.PskError as error:
        return [type(error).__name__, str(error)]
def listed():
    return {row.entry_point: row.status for row in installed() if row.distribution.startswith("their")}
def why():
    return [row.why for row in installed() if row.why]
"""
#: A connector that keeps everything in the channel of `local`.
CONNECTOR = """
    from psk.connectors.local import LocalConnector
    class TheirConnector(LocalConnector):
        scheme = "theirs"
"""
PLUGIN = """
    from psk.plugins import ConnectorPlugin, hookimpl
    @hookimpl
    def psk_connectors():
        return [ConnectorPlugin(schemes=["theirs", "theirs+unix"], target="their_connector:TheirConnector")]
"""


def install(folder, distribution, entry_points, modules=(), *, version="1.0", requires=REQUIRED):
    """Write an installed distribution into a folder; give the path of its `.dist-info`.

    Args:
        folder: Where; on some interpreter's path.
        distribution: Its name.
        entry_points: Those of group `psk`: values by name.
        modules: Their texts by name, dots for packages.
        version: Its version.
        requires: Its requirements.
    """
    files = _files(distribution, entry_points, modules, version, requires)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return (folder / next(iter(files))).parent


def write_wheel(folder, distribution, entry_points, modules=(), *, version="1.0", requires=REQUIRED):
    """Write the same as a wheel, from which modules can be imported as it is; give its path."""
    wheel = folder / f"{distribution.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in _files(distribution, entry_points, modules, version, requires).items():
            archive.writestr(name, text)
    return wheel


def _files(distribution, entry_points, modules, version, requires):
    place = f"{distribution.replace('-', '_')}-{version}.dist-info"
    headers = ["Metadata-Version: 2.4", f"Name: {distribution}", f"Version: {version}"]
    headers += [f"Requires-Dist: {requirement}" for requirement in requires]
    lines = [f"{name} = {value}" for name, value in entry_points.items()]
    return {
        f"{place}/METADATA": "\n".join([*headers, "", "A text about it.", "Name: not a header any more", ""]),
        f"{place}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{place}/entry_points.txt": "\n".join(["[console_scripts]", "their = x:y", "", "[psk]", *lines, ""]),
        f"{place}/RECORD": "",
        **{f"{name.replace('.', '/')}.py": textwrap.dedent(text) for name, text in dict(modules).items()},
    }


class Site:
    """A folder of installed distributions, and interpreters that have it on their path.

    Attributes:
        folder: The folder.
        stderr: What the latest program wrote there.
    """

    def __init__(self, folder):
        self.folder = folder
        self.stderr = ""
        folder.mkdir()

    def add(self, distribution, entry_points, modules=(), **options):
        """Install a distribution; see `install`."""
        return install(self.folder, distribution, entry_points, modules, **options)

    def add_theirs(self, **modules):
        """Install a connector that works, but for what the test puts in the place of its modules."""
        written = {"their_plugin": PLUGIN, "their_connector": CONNECTOR, **modules}
        return self.add("their-connector", {"connector.theirs": "their_plugin"}, written)

    def run(self, program, *, paths=None, options=(), **environment):
        """Run a program in a new interpreter; give what it said, line by line."""
        variables = bare_environment("PYTHON")
        variables["PYTHONPATH"] = os.pathsep.join(map(str, [self.folder] if paths is None else paths))
        done = subprocess.run(
            [sys.executable, *options, "-c", PRELUDE + textwrap.dedent(program)],
            env={**variables, **environment},
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        self.stderr = done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def failure(self, kind="connector", name="theirs", **options):
        """Give class and message of the error that loading ends in, and the status and reason listed afterwards."""
        program = f"""
            say(error_of(lambda: load_target({kind!r}, {name!r})))
            say([[row.status, row.why] for row in installed() if row.entry_point == "{kind}.{name}"])
        """
        error, records = self.run(program, **options)
        return *error, *records[0]

"""Run `psk plugins new`: write the project of a new connector from the templates."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import psk
from psk.cli import Exit, answer, plain
from psk.errors import UsageError
from psk.plugins import FIRST_PARTY, installed
from psk_testing import __version__

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable


SUFFIX = ".in"
"""Every template has it, so that no tool takes one for what it will be."""

LONGEST_NAME = 24
is_name = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*").fullmatch
_find_words = re.compile(r"@(\w+)@").sub


class New:
    """Write the project of a new connector, complete and passing the conformance suite.

    The folder psk-connector-NAME gets a connector that keeps objects in a SQLite file, in five methods over bytes; a
    plug-in module, the conformance suite as its tests, packaging, README and CI. Replace SQLite with your own channel.
    """

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the name, and where the folder shall be."""
        parser.add_argument("name", metavar="NAME", help="the scheme of its URIs, as `mine` in mine:///some/where")
        parser.add_argument("--directory", metavar="DIRECTORY", default=".", help="where to make it (default: here)")

    def run(self, arguments: Namespace) -> int:
        """Write it."""
        check_name(arguments.name)
        project = Project(arguments.name, Path(arguments.directory))
        written = project.write()
        document = {
            "name": project.name,
            "distribution": project.distribution,
            "package": project.package,
            "connector": project.class_name,
            "folder": str(project.folder.absolute()),
            "files": written,
        }
        answer(arguments, document, _lines(project, written))
        return Exit.DONE


def check_name(name: str) -> None:
    """Make sure that a connector can have a name, and that no other has it.

    Raises:
        UsageError: It cannot, or another one has it.
    """
    if not is_name(name) or len(name) > LONGEST_NAME:
        raise UsageError(
            f"a connector cannot be named {name!r:.80}",
            remedy=f"use up to {LONGEST_NAME} lower-case letters and digits, perhaps joined by hyphens, as in my-cache",
        )
    owners = FIRST_PARTY | {record.name: record.distribution for record in installed() if record.kind == "connector"}
    if name in owners:
        raise UsageError(
            f"the scheme {name!r} belongs to {owners[name]}",
            remedy="choose another name: two connectors of one scheme cannot be installed together",
        )


def _lines(project: Project, written: list[str]) -> Iterator[str]:
    folder = plain(shlex.quote(str(project.folder)))
    yield f"wrote {folder}, {len(written)} files"
    yield ""
    yield f"  cd {folder}"
    yield '  pip install -e ".[test]"'
    yield "  pytest"
    yield f"  psk plugins check {project.name}:///tmp/{project.name}.db"
    yield ""
    yield f"Then put your channel into src/{project.package}/connector.py."


class Project:
    """A connector's project, not yet written.

    Args:
        name: Its scheme, from which all other names are made; `is_name` says whether it can be one.
        parent: Where its folder will be.
    """

    def __init__(self, name: str, parent: Path) -> None:
        self.name = name
        self.distribution = f"psk-connector-{name}"
        self.package = self.distribution.replace("-", "_")
        self.class_name = "".join(word.capitalize() for word in name.split("-")) + "Connector"
        self.folder = parent / self.distribution
        self._words = {
            "name": name,
            "project": self.distribution,
            "package": self.package,
            "class": self.class_name,
            "requirement": requirement("psk-core", psk.__version__),
            "testing": requirement("psk-testing", __version__),
            "year": time.strftime("%Y"),
        }

    def write(self) -> list[str]:
        """Write all files, or nothing; return their paths within the folder.

        Raises:
            UsageError: The folder exists already, or no folder can be made there.
            OSError: The folder cannot be written.
        """
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir()
        except OSError as error:
            if self.folder.exists():
                raise UsageError(
                    f"{self.folder} exists already", remedy="choose another name or --directory, or remove it"
                ) from None
            raise UsageError(
                f"{self.folder} cannot be made: {error.strerror}",
                remedy="name a directory in which you may write with --directory",
            ) from error
        try:
            return sorted(self._write(files("psk_testing") / "templates" / "connector"))
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _write(self, templates: Traversable) -> Iterator[str]:
        for path, template in _walk(templates, ""):
            written = self._filled(path.removesuffix(SUFFIX))
            place = self.folder / written
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(self._filled(template.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
            yield written

    def _filled(self, text: str) -> str:
        return _find_words(lambda found: self._words[found[1]], text)


def requirement(distribution: str, version: str) -> str:
    """Require the releases of a distribution that stay compatible with this one: docs/plugins.md has the rule."""
    major, minor = (int(number) for number in version.split(".")[:2])
    end = f"0.{minor + 1}" if major == 0 else f"{major + 1}"
    return f"{distribution}>={major}.{minor},<{end}"


def _walk(folder: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{above}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            yield f"{above}{entry.name}", entry

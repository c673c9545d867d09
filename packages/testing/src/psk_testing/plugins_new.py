"""How does one begin a connector? With a complete project that passes the conformance suite as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.cli import exits
from psk.cli.output import answer, plain

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from psk_testing.project import Project

DETAILS = """
The folder psk-connector-NAME gets a connector that keeps objects in a SQLite file, a plug-in module, the suite
as its tests, packaging, README and CI. Put your own channel in the place of SQLite, and see what the suite says.
"""


class New:
    """The command `psk plugins new`."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the name, and where the folder shall be."""
        parser.description = f"{parser.description}\n{DETAILS}"
        parser.add_argument("name", metavar="NAME", help="the scheme of its URIs, as `mine` in mine:///some/where")
        parser.add_argument("--directory", metavar="DIRECTORY", default=".", help="where to make it (default: here)")

    def run(self, arguments: Namespace) -> int:
        """Write it."""
        from pathlib import Path

        from psk_testing.project import Project

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
        return exits.DONE


def check_name(name: str) -> None:
    """Make sure that a connector can have a name, and that no other has it.

    Raises:
        UsageError: It cannot, or another one has it.
    """
    from psk.connectors.catalog import BUILT_IN
    from psk.errors import UsageError
    from psk.plugins import installed
    from psk.plugins.builtin import FIRST_PARTY
    from psk_testing.project import LONGEST_NAME, is_name

    if not is_name(name) or len(name) > LONGEST_NAME:
        raise UsageError(
            f"a connector cannot be named {name!r:.80}",
            remedy=f"use up to {LONGEST_NAME} lower-case letters and digits, perhaps joined by hyphens, as in my-cache",
        )
    owners = {**FIRST_PARTY, **dict.fromkeys(BUILT_IN, "psk-core")}
    owners |= {record.name: record.distribution for record in installed() if record.kind == "connector"}
    if name in owners:
        raise UsageError(
            f"the scheme {name!r} belongs to {owners[name]}",
            remedy="choose another name: two connectors of one scheme cannot be installed together",
        )


def _lines(project: Project, written: list[str]) -> Iterator[str]:
    from shlex import quote

    folder = plain(quote(str(project.folder)))
    yield f"wrote {folder}, {len(written)} files"
    yield ""
    yield f"  cd {folder}"
    yield '  pip install -e ".[test]"'
    yield "  pytest"
    yield f"  psk plugins check {project.name}:///tmp/{project.name}.db"
    yield ""
    yield f"Then put your channel into src/{project.package}/channel.py."

"""Which commands are there? What `psk --help` says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.cli.program import COMMANDS, EXAMPLE, GROUPS, example_text, find_command

if TYPE_CHECKING:
    from collections.abc import Iterator


def overview() -> str:
    """Give the page of the program: its commands, and those of plug-ins, which are not imported for that."""
    return "\n".join([*_page("psk", "Pass objects between processes by reference.", list(COMMANDS), _added(""))])


def group_overview(group: str) -> str:
    """Give the page of the commands that begin with one word."""
    beginning = f"{group} "
    own = [name for name in COMMANDS if name.startswith(beginning)]
    return "\n".join(_page(f"psk {group}", GROUPS[group], own, _added(beginning)))


def _page(prog: str, summary: str, names: list[str], added: dict[str, str]) -> Iterator[str]:
    rows = {name: find_command(name).SUMMARY for name in names} | added
    width = max(map(len, rows))
    yield f"usage: {prog} COMMAND ..."
    yield ""
    yield summary
    yield ""
    yield "commands:"
    for name, says in rows.items():
        yield f"  {name.ljust(width)}  {says}"
    yield ""
    yield "Each takes --json, for one JSON document, and --help, which ends with an example."
    yield "Exit codes: 0 done, 1 the answer is no or something is wrong, 2 wrong usage, 3 it failed, 130 Ctrl-C."
    yield ""
    yield example_text(EXAMPLE)


def _added(beginning: str) -> dict[str, str]:
    """Give the commands of plug-ins, and those of our own distributions that are not installed."""
    from psk.cli.added import typed_name
    from psk.cli.output import plain
    from psk.cli.subject import all_plugins
    from psk.plugins.builtin import FIRST_PARTY_COMMANDS
    from psk.plugins.discovery import DUPLICATE, INCOMPATIBLE, NOT_ALLOWED

    useless = {DUPLICATE, INCOMPATIBLE, NOT_ALLOWED}
    rows = {name: f"(pip install {distribution})" for name, distribution in FIRST_PARTY_COMMANDS.items()}
    for record in all_plugins():
        if record.kind == "command" and record.status not in useless:
            rows[plain(typed_name(record.name))] = plain(f"(added by {record.origin})")
    return {name: says for name, says in rows.items() if name.startswith(beginning)}

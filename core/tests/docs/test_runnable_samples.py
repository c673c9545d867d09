"""Run the programs in the documents, and look up every name of psk that they mention."""

import ast
import re
from importlib import import_module
from types import ModuleType

import pytest

import documents

PAGES = (
    *("README.md", "ARCHITECTURE.md", "SECURITY.md"),
    *("docs/porting.md", "docs/why.md", "docs/proxy.md", "docs/connectors.md"),
)
TEXTS = {page: (documents.ROOT / page).read_text() for page in PAGES}


@pytest.mark.parametrize("program", documents.programs("core"))
def test_program_runs_as_a_file(program, tmp_path):
    documents.run_as_file(program, tmp_path)


def test_every_block_of_python_says_what_it_is():
    """A program is run by the tests of the distribution that it needs."""
    fragments = [fence for fence in documents.FENCES if fence.language == "python" and fence.flag != "run"]
    assert [(it.page, it.line) for it in fragments if not documents.FRAGMENTS.fullmatch(it.flag)] == []
    for fragment in fragments:
        ast.parse(fragment.text)


@pytest.mark.parametrize(
    "name", sorted({name for text in TEXTS.values() for name in re.findall(r"`(psk(?:\.\w+)+)[(`]", text)})
)
def test_mentioned_name_exists(name):
    found = import_module("psk")
    for part in name.split(".")[1:]:
        if isinstance(found, ModuleType) and not hasattr(found, part):
            import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)


def test_the_key_file_of_the_sample_is_accepted(tmp_path, monkeypatch):
    from psk.wire import find_signing_key

    (program,) = [each.values[0] for each in documents.programs("core") if each.values[0].language == "sh"]
    documents.run_as_file(program, tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "place"))
    monkeypatch.delenv("PSK_KEY_DIR", raising=False)
    assert find_signing_key("team").name == "team"

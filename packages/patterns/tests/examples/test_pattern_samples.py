"""Run the programs in documents that need patterns, and look up every name of psk_patterns in them."""

import re
from importlib import import_module

import pytest

import documents

PAGES = ("docs/patterns.md", "packages/patterns/README.md")
TEXTS = {page: (documents.ROOT / page).read_text() for page in PAGES}


@pytest.mark.parametrize("program", documents.programs("patterns"))
def test_program_runs_as_a_file(program, tmp_path):
    documents.run_as_file(program, tmp_path)


def look_up(dotted):
    """Import what a dotted name says, wherever the module ends and the attributes begin."""
    found = import_module(dotted.partition(".")[0])
    for place, part in enumerate(dotted.split(".")[1:], 2):
        found = getattr(found, part) if hasattr(found, part) else import_module(".".join(dotted.split(".")[:place]))
    return found


@pytest.mark.parametrize(
    "name",
    sorted({name for text in TEXTS.values() for name in re.findall(r"`(psk(?:_patterns)?(?:\.\w+)+)[(`]", text)}),
)
def test_mentioned_name_exists(name):
    look_up(name)


@pytest.mark.parametrize("page", PAGES)
def test_every_error_is_named(page):
    """The page is where a reader looks up what a rule is called; the README sends them there."""
    from psk_patterns import errors

    public = {name for name, each in vars(errors).items() if getattr(each, "__module__", "") == errors.__name__}
    missing = {name for name in public if f"`{name}`" not in TEXTS["docs/patterns.md"]}
    assert not missing
    assert "docs/patterns.md" in page or "patterns.md" in TEXTS[page]


def test_every_public_name_is_in_the_table_of_names():
    import psk_patterns

    rows = re.findall(r"^\| (.+?) \|", TEXTS["packages/patterns/README.md"], flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(psk_patterns.__all__) <= named

"""Compare the first example of each README with the program that the tests run, and with what the page installs."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", ["README.md", "core/README.md"])
def test_the_first_example_is_the_quickstart(page):
    program = (ROOT / "examples/quickstart.py").read_text().partition('"""\n\n')[2]
    shown = (ROOT / page).read_text().partition("```python run\n")[2].partition("```")[0]
    assert shown == program


@pytest.mark.parametrize("page", ["README.md", "core/README.md"])
def test_what_the_first_example_imports_is_installed_by_what_the_page_says(page):
    text = (ROOT / page).read_text()
    program = text.partition("```python")[2].partition("```")[0]
    imported = set(re.findall(r"^(?:from|import) (\w+)", program, flags=re.MULTILINE))
    installed = {word for line in re.findall(r"`pip install ([^`]+)`", text) for word in line.split()}
    assert imported - sys.stdlib_module_names - {"psk"} <= installed


@pytest.mark.parametrize("page", ["README.md", "core/README.md"])
def test_what_the_first_example_needs_is_said_before_it(page):
    before, fence, _ = (ROOT / page).read_text().partition("```python")
    assert fence
    assert "needs numpy" in before

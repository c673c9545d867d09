"""Is the first example of each README the program that the tests run?"""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", ["README.md", "core/README.md"])
def test_the_first_example_is_the_quickstart(page):
    program = (ROOT / "examples/quickstart.py").read_text().partition('"""\n\n')[2]
    shown = (ROOT / page).read_text().partition("```python\n")[2].partition("```")[0]
    assert shown == program

"""Is the README's first example the program that the tests run?"""

from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_first_example_is_the_quickstart():
    program = (ROOT / "examples/quickstart.py").read_text().partition('"""\n\n')[2]
    shown = (ROOT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert shown == program

"""The rules of the suite are those of docs/contract.md, and each has a test."""

import re
from pathlib import Path

from psk_testing import ConnectorTests
from psk_testing.conformance.suite import conformance_tests
from psk_testing.rules import RULES

DOCUMENTS = Path(__file__).parents[3] / "docs"
CONTRACT = (DOCUMENTS / "contract.md").read_text()
GUIDE = (DOCUMENTS / "conformance.md").read_text()


def test_the_rules_are_those_of_the_document():
    written = re.findall(r"^- \*\*(C\d+)\*\* (.*?)(?=\n\n|\n- )", CONTRACT, re.MULTILINE | re.DOTALL)
    assert {number: " ".join(text.split()) for number, text in written} == RULES
    assert list(RULES) == [f"C{number}" for number in range(1, len(RULES) + 1)]


def test_every_rule_has_a_test_that_cites_it():
    cited = {number for test in conformance_tests(ConnectorTests).values() for number in test.psk_rules}
    assert cited == set(RULES)


def test_the_guide_names_what_there_is():
    table = re.findall(r"^\| (`.*?) \|", GUIDE, re.MULTILINE)
    names = {name for cell in table for name in re.findall(r"`(\w+)", cell)}
    assert len(names) > 8
    assert [name for name in sorted(names) if not hasattr(ConnectorTests, name)] == []
    tests = set(re.findall(r'"(test_\w+)', GUIDE))
    assert tests
    assert tests <= set(conformance_tests(ConnectorTests))

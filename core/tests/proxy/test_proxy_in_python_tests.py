"""CPython's own tests of lists, sequences, mappings and text run on proxies; what fails is listed with its reason."""

import io
import sys
import unittest

import pytest

from psk.proxy import Proxy

pytest.importorskip("test.string_tests", reason="this Python was installed without its tests")
from test import list_tests, mapping_tests, seq_tests, string_tests  # as above

#: Until Python 3.13 the tests of text are in two classes.
TEXT_BASES = ("StringLikeTest",) if hasattr(string_tests, "StringLikeTest") else ("MixinStrUnicodeUserStringTest",)

REPR = "repr of a proxy shows that it is one"
ARGUMENT = "methods of texts, in C, refuse a proxy of a text as their argument"
EXPECTED = {
    "list": {
        "test_repr": REPR,
        "test_repr_deep": "a proxy of a list in a list in a list ... is one level, whatever its target holds",
        "test_free_after_iterating": "it counts finalisers of a subclass, and a proxy's iterator is its target's",
    },
    "tuple": {"test_free_after_iterating": "as of lists"},
    "dict": {
        "test_repr": REPR,
        "test_fromkeys": "it subclasses the class that makes the proxies, and what that returns is no instance of it",
    },
    "str": {
        "test_fixtype": "it compares the type of a text with the class that makes the proxies",
        "test_count": ARGUMENT,
        "test_find": ARGUMENT,
        "test_rfind": ARGUMENT,
        **({"test_find_many_lengths": ARGUMENT} if sys.version_info >= (3, 12) else {}),
    },
}


class Keep:
    """A factory that can be pickled."""

    def __init__(self, target):
        self.target = target

    def __call__(self):
        return self.target


def proxied(kind):
    """Make a class that gives proxies of instances of another."""

    class Made(kind):
        def __new__(cls, *arguments, **named):
            return Proxy(Keep(kind(*arguments, **named)))

    return Made


class TextsOnly:
    """Let texts be proxies, and leave the arguments of their methods alone: C code wants those as they are."""

    def checkequal(self, result, target, name, *arguments, **named):
        assert getattr(Proxy(Keep(target)), name)(*arguments, **named) == result

    def checkraises(self, kind, target, name, *arguments, expected_msg=None):
        with pytest.raises(kind) as raised:
            getattr(Proxy(Keep(target)), name)(*arguments)
        assert expected_msg in (None, str(raised.value))

    def checkcall(self, target, name, *arguments):
        getattr(Proxy(Keep(target)), name)(*arguments)


def cases():
    """Make the test cases; inside a function, so that pytest does not collect them."""
    texts = (TextsOnly, *(getattr(string_tests, name) for name in TEXT_BASES), string_tests.BaseTest, unittest.TestCase)
    return {
        "list": type("Lists", (list_tests.CommonTest,), {"type2test": proxied(list)}),
        "tuple": type("Tuples", (seq_tests.CommonTest,), {"type2test": proxied(tuple)}),
        "dict": type("Mappings", (mapping_tests.TestHashMappingProtocol,), {"type2test": proxied(dict)}),
        "str": type("Texts", texts, {"type2test": proxied(str)}),
    }


@pytest.mark.parametrize("kind", EXPECTED)
def test_pythons_own_tests_pass_on_proxies(kind):
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(cases()[kind])
    result = unittest.TextTestRunner(io.StringIO()).run(suite)
    failed = {test.id().rpartition(".")[2]: trace for test, trace in (*result.failures, *result.errors)}
    unexpected = [trace for name, trace in failed.items() if name not in EXPECTED[kind]]
    assert not unexpected, "\n".join(unexpected)
    assert set(failed) == set(EXPECTED[kind]), "it passes by now: strike it off the list"
    assert result.testsRun > 15

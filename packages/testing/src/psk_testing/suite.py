"""What do the tests of a conformance suite share? A channel of yours, and rules that nobody bends in silence."""

from __future__ import annotations

import inspect
import os
import random
from collections.abc import Callable, Iterator, Mapping  # noqa: TC003  pytest reads the annotations of fixtures
from functools import partial
from typing import Any, ClassVar

import pytest

from psk.connectors import SupportsList, format_uri, open_connector
from psk.errors import ConnectorClosedError
from psk_testing.counts import count_of


class Suite:
    """Open the channel under test, and keep the tests as they are.

    Attributes:
        expected_failures: Tests that fail, by name, or by name and parameters as in "test_x[get]", and why. Each
            must fail: one that passes after all is a failure.
        counts: How often to try, by the names of `psk_testing.counts.COUNTS`, where the suite's own count does
            not do.
        crosses_processes: Whether other processes reach the channel. Where they do not, opening or using it
            there must be a typed error.
        secrets: Texts that must appear nowhere: the passwords that the channel under test was opened with.
    """

    #: A signal would never be heard by native code that hangs.
    pytestmark = pytest.mark.timeout(method="thread")
    expected_failures: ClassVar[Mapping[str, str]] = {}
    counts: ClassVar[Mapping[str, int]] = {}
    crosses_processes: ClassVar[bool] = True
    secrets: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **keywords: object) -> None:
        super().__init_subclass__(**keywords)
        check_tests(cls)

    @pytest.fixture
    def uri(self) -> str:
        """The URI of a new, empty channel: every suite gives its own."""
        pytest.fail(
            f"{type(self).__name__} names no channel: give it a fixture `uri` that returns the URI of a new, empty one",
            pytrace=False,
        )

    @pytest.fixture
    def opener(self) -> Callable[[str], Any]:
        """What opens a URI: `psk.connectors.open_connector`, which finds installed plug-ins."""
        return open_connector

    @pytest.fixture
    def connector(self, uri: str, opener: Callable[[str], Any]) -> Iterator[Any]:
        """A connector to the empty channel; cleared afterwards where it can be."""
        opened = opener(uri)
        yield opened
        if isinstance(opened, SupportsList):
            try:
                opened.clear()
            except ConnectorClosedError:
                remaining = opener(uri)
                remaining.clear()
                remaining.close()
        opened.close()

    @pytest.fixture
    def reopened(self, connector: Any, opener: Callable[[str], Any]) -> Iterator[Any]:
        """A second connector to the same channel."""
        again = opener(format_uri(connector.config()))
        yield again
        again.close()

    @pytest.fixture
    def count(self) -> Callable[[str], int]:
        """How often to try something, by its name in `psk_testing.counts.COUNTS`."""
        return partial(count_of, own=self.counts)

    @pytest.fixture
    def chance(self, request: pytest.FixtureRequest) -> random.Random:
        """What random tests draw from; set PSK_SEED to repeat one that failed."""
        seed = int(os.environ.get("PSK_SEED") or random.SystemRandom().randrange(2**32))
        request.node.user_properties.append(("seed", seed))
        print(f"{request.node.name}: PSK_SEED={seed}")  # noqa: T201  captured, shown when the test fails
        return random.Random(seed)  # noqa: S311  no secret is made of it

    @pytest.fixture(autouse=True)
    def _expect_failures(self, request: pytest.FixtureRequest) -> None:
        for name in (request.node.name, request.node.name.partition("[")[0]):
            if name in self.expected_failures:
                request.applymarker(pytest.mark.xfail(reason=self.expected_failures[name], strict=True))


def conformance_tests(suite: type) -> dict[str, object]:
    """Give the conformance tests that a class inherits, as they were written, by name."""
    return {
        name: value
        for origin in reversed(suite.__mro__)
        for name, value in vars(origin).items()
        if name.startswith("test_") and hasattr(value, "psk_rules")
    }


def check_tests(suite: type) -> None:
    """Make sure that a class runs every conformance test as it was written.

    Raises:
        TypeError: It redefines or removes one, or expects the failure of one that there is not.
    """
    tests = conformance_tests(suite)
    for name, test in tests.items():
        if inspect.getattr_static(suite, name) is not test:
            message = (
                f"{suite.__name__} replaces the conformance test {name}, so that nobody sees what it does not keep: "
                f'remove it, and write expected_failures = {{"{name}": "why"}} instead'
            )
            raise TypeError(message)
    expected: Mapping[str, str] = getattr(suite, "expected_failures", {})
    for name, reason in expected.items():
        if name.partition("[")[0] not in tests or not (isinstance(reason, str) and reason.strip()):
            message = (
                f"{suite.__name__}.expected_failures names {name!r}: it takes the name of a conformance test, "
                f'perhaps with its parameters as in "test_x[get]", and a reason'
            )
            raise TypeError(message)

"""Open the channel under test, cite the rules that a test checks, and count how often it tries."""

from __future__ import annotations

import functools
import inspect
import os
import random
from collections.abc import Callable, Iterator, Mapping  # noqa: TC003  pytest reads the annotations of fixtures
from typing import Any, ClassVar, Final, TypeVar, cast

import pytest

from psk.connectors import SupportsList, format_uri, open_connector
from psk.errors import ConnectorClosedError
from psk_testing.rules import RULES, rule_text

SCALE: Final = "PSK_CONFORMANCE_SCALE"
"""The environment variable by which all counts are multiplied."""

COUNTS: Final = {
    "model_runs": 30,  # random sequences of calls, compared with a dictionary
    "write_races": 20,  # instants at which several writers put one object
    "take_races": 30,  # instants at which several claimants take one object
    "swap_races": 30,  # revisions that several threads try to set
    "swaps": 300,  # revisions that readers watch
    "wakings": 20,  # waiters that are woken
    "evictions": 5,  # times that all objects are put and evicted beside a reader
    "turns": 50,  # puts, gets and evictions of each of 8 threads
    "failures": 50,  # calls that fail, after which nothing may be left
    "damages": 200,  # stored objects in which something is changed
    "killed_writers": 6,  # processes that are killed while they put
    "process_turns": 60,  # operations of each of 3 processes on shared objects
    "process_races": 15,  # objects that 3 processes put, or take, at once
    "forks": 3,  # children in which a connector is used on
    "ends": 3,  # processes that end with a connector open
}
"""The default of each count."""


def count_of(name: str, own: Mapping[str, int]) -> int:
    """Look up how often to try something.

    Args:
        name: One of `COUNTS`.
        own: What the suite says instead.

    Raises:
        LookupError: There is no such count.
        ValueError: The variable `PSK_CONFORMANCE_SCALE` is not a positive number.
    """
    unknown = {name, *own} - set(COUNTS)
    if unknown:
        message = f"the suite counts {', '.join(COUNTS)}, and has no {', '.join(map(repr, sorted(unknown)))}"
        raise LookupError(message)
    factor = float(os.environ.get(SCALE) or 1)
    if not 0 < factor < float("inf"):
        message = f"{SCALE} multiplies every count: set it to a positive number"
        raise ValueError(message)
    return max(1, round(own.get(name, COUNTS[name]) * factor))


Test = TypeVar("Test", bound="Callable[..., None]")


def rule(*numbers: str, fix: str, needs: tuple[Any, ...] = ()) -> Callable[[Test], Test]:
    """Make a function the test of some rules.

    Args:
        numbers: The rules that it checks, such as "C13".
        fix: What is most likely wrong in a connector that fails it.
        needs: Capabilities without which it is skipped; the test then has an argument `connector`.

    Raises:
        ValueError: There is no such rule.
    """
    unknown = set(numbers) - set(RULES)
    if unknown or not numbers:
        message = f"a test cites rules of docs/contract.md, {min(RULES)} to C{len(RULES)}, not {sorted(unknown)}"
        raise ValueError(message)

    def cite(test: Test) -> Test:
        @functools.wraps(test)
        def cited(*positional: object, **arguments: Any) -> None:
            __tracebackhide__ = True
            for power in needs:
                skip_without(power, arguments["connector"])
            try:
                test(*positional, **arguments)
            except (Exception, pytest.fail.Exception) as error:
                error.add_note(explained(numbers, fix))
                raise

        cited.psk_rules = numbers  # type: ignore[attr-defined]  # says that the suite knows this test
        return cast("Test", cited)

    return cite


def explained(numbers: tuple[str, ...], fix: str) -> str:
    """Write the note that goes with a failure."""
    return "\n".join(["", *map(rule_text, numbers), f"likely fix: {fix}"])


def skip_without(power: Any, connector: Any) -> None:
    """Skip the test that runs if a connector lacks a capability, and say so."""
    if not isinstance(connector, power):
        pytest.skip(f"{connector.scheme} has no {power.__name__}, an optional capability")


class Suite:
    """Open the channel under test, and keep the tests as they are.

    Attributes:
        expected_failures: Tests that fail, by name, or by name and parameters as in "test_x[get]", and why. Each
            must fail: one that passes after all is a failure.
        counts: How often to try, by the names of `COUNTS`, where the default does not do.
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
        """The function that opens a URI: `psk.connectors.open_connector`, which finds installed plug-ins."""
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
        """Return the number of trials, by its name in `psk_testing.conformance.suite.COUNTS`."""
        return functools.partial(count_of, own=self.counts)

    @pytest.fixture
    def chance(self, request: pytest.FixtureRequest) -> random.Random:
        """The source of random tests; set PSK_SEED to repeat one that failed."""
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
    """Return the conformance tests that a class inherits, as they were written, by name."""
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

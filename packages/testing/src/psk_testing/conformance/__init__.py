"""The conformance suite: the tests of docs/contract.md, in one class for connectors to inherit."""

from __future__ import annotations

import pkgutil

import pytest

# Before the chapters are imported: a failed assertion in a module that was not rewritten shows no values.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from psk_testing.conformance.allocation import Allocating  # noqa: E402  as above
from psk_testing.conformance.calls import Calls, Keys  # noqa: E402  as above
from psk_testing.conformance.capabilities import (  # noqa: E402
    Batching,
    Coroutines,
    Listing,
    Ranges,
    Reserving,
    Swapping,
)
from psk_testing.conformance.configuration import Configuration  # noqa: E402
from psk_testing.conformance.corruption import Damage  # noqa: E402
from psk_testing.conformance.expiry import Expiring, Taking  # noqa: E402
from psk_testing.conformance.faults import Faults  # noqa: E402
from psk_testing.conformance.model import Model  # noqa: E402
from psk_testing.conformance.objects import Getting, Putting  # noqa: E402
from psk_testing.conformance.places import Places  # noqa: E402
from psk_testing.conformance.processes import Processes  # noqa: E402
from psk_testing.conformance.waiting import Waiting  # noqa: E402
from psk_testing.conformance.watching import Watching  # noqa: E402


class ConnectorTests(
    Keys,
    Calls,
    Putting,
    Getting,
    Configuration,
    Reserving,
    Waiting,
    Batching,
    Expiring,
    Taking,
    Swapping,
    Ranges,
    Listing,
    Coroutines,
    Allocating,
    Watching,
    Places,
    Damage,
    Processes,
    Faults,
    Model,
):
    """Test a connector against every rule of docs/contract.md.

    Inherit in a class whose name begins with `Test`, and give it a fixture `uri` that returns the URI of a new, empty
    channel. docs/conformance.md says what else it may have.
    """

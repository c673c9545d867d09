"""Does a connector keep docs/contract.md? All its tests in one class, for connectors to inherit."""

from __future__ import annotations

from psk_testing.batching import Batching
from psk_testing.calls import Calls
from psk_testing.configuration import Configuration
from psk_testing.coroutines import Coroutines
from psk_testing.expiring import Expiring
from psk_testing.faults import Faults
from psk_testing.getting import Getting
from psk_testing.keys import Keys
from psk_testing.listing import Listing
from psk_testing.model import Model
from psk_testing.processes import Processes
from psk_testing.putting import Putting
from psk_testing.ranges import Ranges
from psk_testing.reserving import Reserving
from psk_testing.side_door import Damage
from psk_testing.swapping import Swapping
from psk_testing.taking import Taking
from psk_testing.waiting import Waiting


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
    Damage,
    Processes,
    Faults,
    Model,
):
    """Test a connector against every rule of docs/contract.md.

    Inherit in a class whose name begins with `Test`, and give it a fixture `uri` that returns the URI of a new, empty
    channel. docs/conformance.md says what else it may have.
    """

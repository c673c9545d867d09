"""Does a connector keep docs/contract.md? All its tests in one class, for connectors to inherit."""

from __future__ import annotations

from psk.testing.batching import Batching
from psk.testing.calls import Calls
from psk.testing.configuration import Configuration
from psk.testing.coroutines import Coroutines
from psk.testing.expiring import Expiring
from psk.testing.faults import Faults
from psk.testing.getting import Getting
from psk.testing.keys import Keys
from psk.testing.listing import Listing
from psk.testing.model import Model
from psk.testing.processes import Processes
from psk.testing.putting import Putting
from psk.testing.ranges import Ranges
from psk.testing.reserving import Reserving
from psk.testing.side_door import Damage
from psk.testing.swapping import Swapping
from psk.testing.taking import Taking
from psk.testing.waiting import Waiting


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

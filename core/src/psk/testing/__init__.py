"""Does a connector keep docs/contract.md? The tests that every connector runs, also yours."""

try:
    import hypothesis  # noqa: F401  the suite is written with it
    import pytest
except ImportError as error:
    message = f"psk.testing needs {error.name}, which is not installed here: pip install psk-core[testing]"
    raise ImportError(message, name=error.name) from error

SUITES = (
    *("batching", "calls", "configuration", "coroutines", "expiring", "faults", "getting", "keys", "listing", "model"),
    *("processes", "putting", "ranges", "reserving", "side_door", "swapping", "taking", "waiting"),
)
# Before they are imported: a failed assertion in a suite that was not rewritten shows no values.
pytest.register_assert_rewrite(*(f"psk.testing.{module}" for module in SUITES))

from psk.testing.citing import rule  # noqa: E402  as above
from psk.testing.conformance import ConnectorTests  # noqa: E402

__all__ = ["ConnectorTests", "rule"]

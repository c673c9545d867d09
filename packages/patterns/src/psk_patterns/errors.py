"""Which errors can the patterns raise? Every one of them, one sentence each, in the hierarchy of `psk.errors`."""

from __future__ import annotations

from concurrent.futures import CancelledError, InvalidStateError

from psk.errors import DeadlineError, PskError

# --- leases and lifetimes --------------------------------------------------------------------------------------------


class LeaseLostError(PskError):
    """An object that this process was to keep alive is gone from its channel."""


class LifetimeEndedError(PskError, RuntimeError):
    """Something was to be attached to a lifetime that has ended."""


class LifetimeCloseError(PskError):
    """A lifetime ended, and some of its objects could not be evicted.

    Attributes:
        failures: The key of each object that is left, and what went wrong with it.
    """

    failures: tuple[tuple[str, Exception], ...] = ()


# --- ownership -------------------------------------------------------------------------------------------------------


class OwnershipError(PskError, RuntimeError):
    """A rule of ownership was broken; the base of the errors that name one."""


class ReferenceInvalidError(OwnershipError):
    """The reference was used after its object moved, its borrow ended, or somebody else took it."""


class ReferenceNotOwnedError(OwnershipError):
    """Only an owner can do this, and the reference is not one."""


class MutableBorrowError(OwnershipError):
    """A mutable borrow is to be the only one, and is not."""


class BorrowedError(OwnershipError):
    """The owner cannot do this while its object is borrowed."""


class AlreadyOwnedError(OwnershipError, ValueError):
    """The object has an owner already."""


# --- futures ---------------------------------------------------------------------------------------------------------


class FutureError(PskError):
    """A future could not do what it was asked, or ended without a result."""


class FutureTimeoutError(FutureError, DeadlineError):
    """The future had no outcome in time."""


class FutureCancelledError(FutureError, CancelledError):
    """The future was cancelled before a producer claimed it."""


class FutureDoneError(FutureError, InvalidStateError):
    """The future has its outcome already; it is written once."""


class FutureClaimedError(FutureError):
    """Another producer that is alive has claimed the future."""


class ProducerDied(FutureError):  # noqa: N818  the field's name for it
    """The producer that had claimed the future died before it gave an outcome."""


class RemoteError(FutureError):
    """A producer failed with an exception that cannot travel; this says what it was."""


# --- executors -------------------------------------------------------------------------------------------------------


class ExecutorClosedError(PskError, RuntimeError):
    """A task was submitted to an executor that was shut down."""

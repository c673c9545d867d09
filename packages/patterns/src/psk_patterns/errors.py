"""The errors of the patterns, in the hierarchy of `psk.errors`."""

from __future__ import annotations

from concurrent.futures import CancelledError, InvalidStateError

from psk.errors import DeadlineError, ProxyResolveError, PskError


class LeaseLostError(PskError):
    """An object that this process kept alive is gone from its channel."""


class LifetimeEndedError(PskError, RuntimeError):
    """An object was attached to a lifetime that has ended."""


class LifetimeCloseError(PskError):
    """A lifetime ended, and some of its objects could not be evicted.

    Attributes:
        failures: The key of each object that was not evicted, and the reason.
    """

    failures: tuple[tuple[str, Exception], ...] = ()


class OwnershipError(PskError, RuntimeError):
    """A rule of ownership was broken; the base of the errors that name one.

    Those that using a proxy can raise are a ProxyResolveError too.
    """


class ReferenceInvalidError(OwnershipError, ProxyResolveError):
    """The reference was used after its object moved or went, or after its borrow ended."""


class ReferenceNotOwnedError(OwnershipError, ProxyResolveError):
    """Only an owner can do this, and the reference is not an owner."""


class MutableBorrowError(OwnershipError, ProxyResolveError):
    """A mutable borrow excludes all others, and there is another."""


class BorrowedError(OwnershipError):
    """An owner cannot do this while its object is borrowed."""


class AlreadyOwnedError(OwnershipError, ValueError):
    """The object already has an owner."""


class FutureError(PskError):
    """A future could not do what it was asked, or ended without a result."""


class FutureTimeoutError(FutureError, DeadlineError):
    """The future had no outcome in time."""


class FutureCancelledError(FutureError, CancelledError):
    """The future was cancelled before a producer claimed it."""


class FutureDoneError(FutureError, InvalidStateError):
    """The future already has its outcome, which is written once."""


class FutureClaimedError(FutureError):
    """Another producer, which is alive, has claimed the future."""


class ProducerDied(FutureError):  # noqa: N818  the usual name for it
    """The producer that had claimed the future died before it set an outcome."""


class RemoteError(FutureError):
    """A producer failed with an exception that cannot be pickled; this describes it."""


class ExecutorClosedError(PskError, RuntimeError):
    """A task was submitted to an executor that was shut down."""

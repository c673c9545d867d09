"""Where does a future stand in its channel? In two slots, each written once: who claimed it, and how it ended."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from psk import Store, get_factory
from psk.connectors import SupportsExpiry
from psk.errors import (
    InvalidReferenceError,
    KeyExistsError,
    ProxyResolveError,
    ProxyResolveMissingKeyError,
    PskError,
    SerializationError,
)
from psk.store import StoreFactory
from psk_patterns.errors import FutureError
from psk_patterns.futures.claim import Claim
from psk_patterns.futures.outcome import CANCELLED, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

CLEANING_SECONDS: Final = 5.0
"""How long the removal of what is not needed any more may take."""


class Slots:
    """The two keys of a future, and all that is ever done with them.

    Each is known by a factory of the store, which lets nothing be opened, read or believed that this process's policy,
    the stores' signatures and their trust do not allow.

    Args:
        result: Where the outcome will stand.
        claim: Where a claim, or a cancellation, will.

    Attributes:
        is_released: Whether whoever has these slots has given them up.

    Raises:
        InvalidReferenceError: They are no two keys of one channel.
    """

    __slots__ = ("claim", "is_released", "result")

    def __init__(self, result: StoreFactory[Any], claim: StoreFactory[Any]) -> None:
        if not (isinstance(result, StoreFactory) and isinstance(claim, StoreFactory)):
            raise InvalidReferenceError("what arrived is no future", remedy="refuse it, or send the future anew")
        if (result.reference.uri, result.reference.signed_by) != (claim.reference.uri, claim.reference.signed_by):
            raise InvalidReferenceError(
                f"what arrived is no future: its keys are of two channels, {result.reference.shown_uri!r} and "
                f"{claim.reference.shown_uri!r}, or differently signed",
                remedy="refuse it, or send the future anew",
            )
        self.result = result
        self.claim = claim
        self.is_released = False

    @classmethod
    def reserve(cls, store: Store) -> Slots:
        """Reserve two keys.

        Raises:
            CapabilityError: The channel cannot reserve.
            ConnectorError: The channel failed.
        """
        return cls(*(_factory_of(store, store.reserve()) for _ in range(2)))

    @property
    def uri(self) -> str:
        """The channel."""
        return self.result.reference.uri

    @property
    def result_key(self) -> str:
        """The key of the outcome."""
        return self.result.reference.key

    @property
    def claim_key(self) -> str:
        """The key of the claim."""
        return self.claim.reference.key

    @property
    def keys(self) -> tuple[str, str]:
        """Both keys."""
        return self.result_key, self.claim_key

    @property
    def name(self) -> str:
        """What messages call the future."""
        return f"future {self.result_key} of {self.result.reference.shown_uri}"

    def check_not_released(self) -> None:
        """Refuse to go on with a future that was released here.

        Raises:
            FutureError: It was.
        """
        if self.is_released:
            raise FutureError(f"{self.name} was released here", remedy="release it after its last use")

    def store(self) -> Store:
        """Find the store that both keys may be read through.

        Raises:
            SigningError: A reference is unsigned or forged where that matters.
            UntrustedChannelError: This process does not open that channel.
            UnknownConnectorError: No connector is installed for its scheme.
        """
        self.claim.store()
        return self.result.store()

    @contextmanager
    def writing(self) -> Iterator[Store]:
        """Give the store to write through: one that signs if this future's readers expect that."""
        store, signer = self.store(), self.result.reference.signed_by
        if not signer or store.config().signing_key == signer:
            yield store
            return
        # The key is here: without it the reference would not have been believed.
        with Store.from_uri(self.uri, signing_key=signer) as private:
            yield private

    def read_outcome(self) -> Outcome | None:
        """Give the outcome if there is one."""
        stored = _read(self.result, self.store(), "pickle")
        return None if stored is None else Outcome.unpack(stored, self.result_key)

    def read_claim(self) -> Claim | None:
        """Give the claim or the cancellation, if there is one that has not expired."""
        stored = _read(self.claim, self.store(), "str")
        return None if stored is None else Claim.read(stored, self.claim_key)

    def write_outcome(self, outcome: Outcome, *, ttl: float | None = None) -> bool:
        """Write the outcome; False if there is one already.

        Raises:
            SerializationError: The result cannot be encoded.
            ConnectorError: The channel failed.
        """
        return self._write(self.result_key, outcome.pack(), ttl, ("pickle", "cloudpickle"))

    def write_claim(self, claim: Claim, *, ttl: float | None = None) -> bool:
        """Write a claim or a cancellation; False if there is one already."""
        return self._write(self.claim_key, claim.pack(), ttl, ("str",))

    def finish_cancelling(self, claim: Claim) -> Outcome | None:
        """Write the outcome that a cancellation means, and give the one that stands, which makes the claim needless."""
        standing = self.settle(Outcome(CANCELLED, claim.who))
        self.drop_claim()
        return standing

    def settle(self, outcome: Outcome, *, ttl: float | None = None) -> Outcome | None:
        """Write an outcome that was found out rather than made, so that all hear the same; give the one that stands.

        None is one that went away meanwhile, as its future was released.
        """
        return outcome if self.write_outcome(outcome, ttl=ttl) else self.read_outcome()

    def drop_claim(self) -> None:
        """Remove the claim once there is an outcome; where that fails, it expires."""
        with suppress(PskError):
            self.store().evict(self.claim_key, timeout=CLEANING_SECONDS)

    def lease_of(self, ttl: float | None) -> float | None:
        """Give the time to live that something here can have: none where the channel keeps no expiry."""
        return ttl if self.store().supports(SupportsExpiry) else None

    def _write(self, key: str, obj: object, ttl: float | None, codecs: tuple[str, ...]) -> bool:
        with self.writing() as store:
            # Where a store has a serializer of its own, that is for objects, not for what we wrap around them.
            *others, last = (None,) if store.config().serializer is None else codecs
            for codec in others:
                with suppress(SerializationError):
                    return _fulfil(store, key, obj, ttl, codec)
            return _fulfil(store, key, obj, ttl, last)


def _fulfil(store: Store, key: str, obj: object, ttl: float | None, codec: str | None) -> bool:
    try:
        store.fulfil(key, obj, ttl=ttl, serializer=codec)
    except KeyExistsError:
        return False
    return True


def _factory_of(store: Store, key: str) -> StoreFactory[Any]:
    made: Any = get_factory(store.proxy_from_key(key))
    # Not its maker's deserializer: see `_write`.
    return StoreFactory(made.reference, store)


def _read(factory: StoreFactory[Any], store: Store, codec: str) -> Any:
    """Read through a factory, which checks what it finds; None if there is nothing."""
    if store.config().deserializer is not None:
        factory.deserializer = codec
    try:
        return factory.resolve()
    except ProxyResolveMissingKeyError:
        return None
    except ProxyResolveError as error:
        if isinstance(error.cause, PskError):
            raise error.cause from None
        raise

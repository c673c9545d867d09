"""The state of a future in its channel: a claim and an outcome, each under a key that is written once."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psk import Store, get_factory
from psk.connectors import SupportsExpiry
from psk.errors import (
    ChannelDataError,
    InvalidReferenceError,
    KeyExistsError,
    ProxyResolveError,
    ProxyResolveMissingKeyError,
    PskError,
    SerializationError,
)
from psk.store import StoreFactory
from psk_patterns.errors import FutureClaimedError, FutureDoneError, FutureError
from psk_patterns.futures import outcome as outcomes
from psk_patterns.futures.outcome import Outcome, this_process

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

CLAIMED: Final = "claimed"
CANCELLED: Final = "cancelled"

CLEANING_SECONDS: Final = 5.0
"""Seconds for the removal of keys that are no longer needed."""

REMEMBERED_SECONDS: Final = 3600.0
"""Seconds for which a channel keeps an unfinished cancellation, and the outcome of a producer's death."""

ATTEMPTS: Final = 10
"""Number of attempts when a claim that was in the way is gone at the next look."""


class Claim(NamedTuple):
    """The record under a future's claim key, by a producer or by a process that cancels.

    Args:
        kind: `CLAIMED` or `CANCELLED`.
        number: Identifies the claim.
        who: The process that wrote it, for messages.
    """

    kind: str
    number: str
    who: str

    @classmethod
    def make(cls, kind: str, number: str | None = None) -> Claim:
        """Make a claim or a cancellation by this process."""
        return cls(kind, number or os.urandom(8).hex(), this_process())

    @property
    def is_cancellation(self) -> bool:
        """Whether the future was cancelled, so that no producer may claim it."""
        return self.kind == CANCELLED

    def pack(self) -> str:
        """Return what is stored: a string, which is read without pickle."""
        return "\n".join(self)

    @classmethod
    def unpack(cls, stored: object, key: str) -> Claim:
        """Read what `pack` returned.

        Raises:
            ChannelDataError: It is something else.
        """
        fields = stored.split("\n") if isinstance(stored, str) else []
        if len(fields) == 3 and fields[0] in {CLAIMED, CANCELLED}:  # noqa: PLR2004  see `pack`
            return cls(*fields)
        raise ChannelDataError(
            f"key {key} holds a {type(stored).__qualname__} that is not the claim of a future",
            remedy="let only futures write to their keys",
        )


class FutureState:
    """The two keys of a future and every operation on them.

    Each key is represented by a store factory, which opens, reads and believes only what this process's policy and the
    stores' signatures allow.

    Args:
        result: Fetches the outcome.
        claim: Fetches the claim or the cancellation.

    Attributes:
        is_released: Whether the future was released through this object.
        seen_claim: The claim that was seen last; None before there is one. One that was seen is missed when it is gone.

    Raises:
        InvalidReferenceError: They are not two keys of one channel.
    """

    __slots__ = ("claim_factory", "is_released", "result_factory", "seen_claim")

    def __init__(self, result: StoreFactory[Any], claim: StoreFactory[Any]) -> None:
        is_future = isinstance(result, StoreFactory) and isinstance(claim, StoreFactory)
        if not is_future or len({(each.reference.uri, each.reference.signed_by) for each in (result, claim)}) > 1:
            raise InvalidReferenceError(
                "the object that arrived is not a future: it does not consist of two references into one channel with "
                "one signer",
                remedy="reject it, or send the future again",
            )
        self.result_factory = result
        self.claim_factory = claim
        self.is_released = False
        self.seen_claim: Claim | None = None

    @classmethod
    def reserve(cls, store: Store) -> FutureState:
        """Reserve two keys.

        Raises:
            CapabilityError: The channel cannot reserve keys.
            ConnectorError: The channel failed.
        """
        return cls(*(_factory_of(store, store.reserve()) for _ in range(2)))

    @property
    def uri(self) -> str:
        """The URI of the channel."""
        return self.result_factory.reference.uri

    @property
    def result_key(self) -> str:
        """The key of the outcome."""
        return self.result_factory.reference.key

    @property
    def claim_key(self) -> str:
        """The key of the claim."""
        return self.claim_factory.reference.key

    @property
    def keys(self) -> tuple[str, str]:
        """Both keys."""
        return self.result_key, self.claim_key

    @property
    def awaited_keys(self) -> tuple[str, ...]:
        """The keys to wait for: a claim is waited for until there is one."""
        return self.keys if self.seen_claim is None else (self.result_key,)

    @property
    def name(self) -> str:
        """The name of the future in messages."""
        return f"future {self.result_key} of {self.result_factory.reference.shown_uri}"

    def check_not_released(self) -> None:
        """Refuse a future that was released here.

        Raises:
            FutureError: It was.
        """
        if self.is_released:
            raise FutureError(f"{self.name} was released here", remedy="release it after its last use")

    def store(self) -> Store:
        """Return the store that both keys may be read through.

        Raises:
            SigningError: A reference is unsigned or forged where that matters.
            UntrustedChannelError: This process does not open that channel.
            UnknownConnectorError: No connector is installed for its scheme.
        """
        self.claim_factory.store()
        store: Store = self.result_factory.store()
        return store

    @contextmanager
    def writing(self) -> Iterator[Store]:
        """Yield the store to write through: one that signs if this future's readers expect that."""
        store, signer = self.store(), self.result_factory.reference.signed_by
        if not signer or store.config().signing_key == signer:
            yield store
            return
        # This process has the key, or it would not have believed the reference.
        with Store.from_uri(self.uri, signing_key=signer) as private:
            yield private

    def read_outcome(self) -> Outcome | None:
        """Return the outcome if there is one."""
        stored = _read(self.result_factory, self.store(), "pickle")
        return None if stored is None else Outcome.unpack(stored, self.result_key)

    def read_claim(self) -> Claim | None:
        """Return the claim or the cancellation, if there is one that has not expired."""
        stored = _read(self.claim_factory, self.store(), "str")
        return None if stored is None else Claim.unpack(stored, self.claim_key)

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

    def settle(self, outcome: Outcome, *, ttl: float | None = None) -> Outcome | None:
        """Write an outcome that was discovered, so that all processes see the same; return the one that is stored.

        None means that the future was released meanwhile.
        """
        return outcome if self.write_outcome(outcome, ttl=ttl) else self.read_outcome()

    def drop_claim(self) -> None:
        """Remove the claim once there is an outcome; if that fails, it expires."""
        with suppress(PskError):
            self.store().evict(self.claim_key, timeout=CLEANING_SECONDS)

    def lease_of(self, ttl: float | None) -> float | None:
        """Return the time to live to write with: None where the channel has no expiry."""
        return ttl if self.store().supports(SupportsExpiry) else None

    def claim(self, claim: Claim, ttl: float) -> float | None:
        """Claim the future.

        Args:
            claim: The claim; writing it twice makes one claim.
            ttl: Seconds of its lease.

        Returns:
            The seconds within which to renew the claim; None where the channel has no expiry.

        Raises:
            FutureCancelledError: The future was cancelled.
            FutureClaimedError: Another producer has claimed it.
            FutureDoneError: It has an outcome.
            PskError: The channel failed.
        """
        lease = self.lease_of(ttl)
        for _ in range(ATTEMPTS):
            if self.write_claim(claim, ttl=lease) or self._is_stored(claim, ttl):
                break
        else:
            raise FutureClaimedError(f"{self.name} was claimed and dropped too often", remedy="claim it again later")
        if self.store().exists(self.result_key):
            self.drop_claim()
            raise self._ended_error()
        self.seen_claim = claim
        return lease

    def note(self, present: Collection[str]) -> bool:
        """Record which keys have an object; return whether the future has an outcome.

        Raises:
            ConnectorError: The channel failed.
        """
        if self.result_key in present:
            return True
        if self.seen_claim is None and self.claim_key in present:
            claim = self.read_claim()
            if claim is not None and claim.is_cancellation:
                # The process that cancelled may have died between its two steps.
                self.finish_cancelling(claim)
                return True
            self.seen_claim = claim
        return False

    def note_lost_claim(self) -> bool:
        """Record that the claim is gone; return whether the future has an outcome, which is written if need be."""
        claim = self.seen_claim
        if claim is None:
            return False
        if not self.store().exists(self.result_key):
            # With an expiry: if the future was released meanwhile, no process would ever remove it.
            self.settle(Outcome(outcomes.DIED, claim.who), ttl=self.lease_of(REMEMBERED_SECONDS))
        return True

    def cancel(self) -> bool:
        """Cancel the future unless it was claimed; return whether it is cancelled.

        Raises:
            PskError: The channel failed.
        """
        claim = Claim.make(CANCELLED)
        for _ in range(ATTEMPTS):
            if self.store().exists(self.result_key):
                return self.is_cancelled()
            # It expires if this process dies before it writes the outcome, and no waiting process writes that instead.
            if self.write_claim(claim, ttl=self.lease_of(REMEMBERED_SECONDS)):
                return _is_cancellation(self.finish_cancelling(claim))
            stored = self.read_claim()
            if stored is not None:
                return stored.is_cancellation and _is_cancellation(self.finish_cancelling(stored))
        return False

    def is_cancelled(self) -> bool:
        """Return whether the future was cancelled; completes a cancellation whose process died.

        Raises:
            PskError: The channel failed.
        """
        claim = self.read_claim()
        if claim is not None and claim.is_cancellation:
            return _is_cancellation(self.finish_cancelling(claim))
        return _is_cancellation(self.read_outcome())

    def finish_cancelling(self, claim: Claim) -> Outcome | None:
        """Write the outcome of a cancellation and remove its claim; return the outcome that is stored."""
        stored = self.settle(Outcome(outcomes.CANCELLED, claim.who))
        self.drop_claim()
        return stored

    def done_error(self) -> FutureDoneError:
        """Describe an attempt to set a second outcome."""
        return FutureDoneError(
            f"{self.name} already has an outcome, or was released",
            remedy="set an outcome once; make a new future for another",
        )

    def _ended_error(self) -> BaseException:
        outcome = self.read_outcome()
        failure = outcome.failure(self.name) if outcome is not None and _is_cancellation(outcome) else None
        return self.done_error() if failure is None else failure

    def _is_stored(self, claim: Claim, ttl: float) -> bool:
        """Return whether our claim is stored although writing it failed; False if another was, and is gone."""
        stored = self.read_claim()
        if stored is not None and stored.number == claim.number:
            return True  # another thread of this process wrote it
        if stored is not None and stored.is_cancellation:
            self.finish_cancelling(stored)
        if self.store().exists(self.result_key):
            raise self._ended_error()
        if stored is None or stored.is_cancellation:
            return False
        raise FutureClaimedError(
            f"{self.name} cannot be claimed: {stored.who} has claimed it",
            remedy=f"leave it to that process; if it dies, the future can be claimed after {ttl:g} s",
        )

    def _write(self, key: str, obj: object, ttl: float | None, codecs: tuple[str, ...]) -> bool:
        with self.writing() as store:
            # A store's own serializer is for the user's objects, not for the records that contain them.
            *others, last = (None,) if store.config().serializer is None else codecs
            for codec in others:
                with suppress(SerializationError):
                    return _fulfil(store, key, obj, ttl, codec)
            return _fulfil(store, key, obj, ttl, last)


def _is_cancellation(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.kind == outcomes.CANCELLED


def _fulfil(store: Store, key: str, obj: object, ttl: float | None, codec: str | None) -> bool:
    try:
        store.fulfil(key, obj, ttl=ttl, serializer=codec)
    except KeyExistsError:
        return False
    return True


def _factory_of(store: Store, key: str) -> StoreFactory[Any]:
    made: Any = get_factory(store.proxy_from_key(key))
    # Without the store's own deserializer: see `_write`.
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

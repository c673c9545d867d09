"""What did the server answer instead of doing what it was asked? Its error, the same by whichever way it was read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.exceptions import RedisError


class Refusal(Exception):  # noqa: N818  an answer, returned as one; whoever cannot use it raises an error of psk
    """An error that the server answered; `failures` says which error of psk it means.

    Args:
        text: The answer as it came, its first word the code: `OOM command not allowed when ...`.
    """

    @property
    def code(self) -> str:
        """The first word: what kind of error it is."""
        return str(self).partition(" ")[0]

    @classmethod
    def of(cls, error: RedisError) -> Refusal:
        """Give the answer of which redis-py made an exception; it keeps the code of a known one aside."""
        code = getattr(error, "status_code", None)
        return cls(f"{code} {error}" if code else str(error))


class GarbledError(ConnectionError):
    """What arrived is no answer of a Redis server: the connection is of no use any more."""

"""What do all operations of one instance share? The servers, the names, and how a question is put to the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors import deadline_after
from psk_connector_redis.names import Names
from psk_connector_redis.packets import Packets
from psk_connector_redis.refusal import GarbledError, Refusal
from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from psk_connector_redis.link import Link
    from psk_connector_redis.scripts import Script
    from psk_connector_redis.server import Server
    from psk_connector_redis.settings import Settings

    T = TypeVar("T")


class Channel:
    """One prefix in one database.

    Attributes:
        server: Who answers.
        settings: What the URI says.
        names: Where what stands.
        packets: What is sent for one object.
    """

    __slots__ = ("names", "packets", "server", "settings")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.settings: Settings = server.settings
        self.names = Names(self.settings.prefix)
        self.packets = Packets(self.names)

    @property
    def is_replicated(self) -> bool:
        """Whether a replica must have confirmed what is put."""
        return self.settings.durability == "replicated"

    def deadline(self, timeout: float | None) -> float:
        """Return when a call must be over; see `deadline_after`."""
        return deadline_after(timeout, self.settings.timeout)

    def run(
        self, exchange: Callable[[Link], T], *, name: bytes | None, deadline: float, doing: str, nbytes: int = 0
    ) -> T:
        """Do one exchange with the server that holds a name, again after a failure; see `Server.run`."""
        return self.server.run(exchange, name=name, deadline=deadline, doing=doing, nbytes=nbytes)

    def ask(self, *command: bytes, name: bytes | None, deadline: float, doing: str, kind: type) -> Any:
        """Put one command to the server that holds a name, whose answer is of one type.

        Raises:
            PskError: It was refused, or not answered in time.
        """

        def exchange(link: Link) -> Any:
            link.send((pack(*command),), deadline)
            return accepted(link.reply(deadline), kind)

        return self.run(exchange, name=name, deadline=deadline, doing=doing)

    def run_script(self, script: Script, names: Sequence[bytes], *arguments: bytes, deadline: float, doing: str) -> Any:
        """Run a script on the server that holds its first name; all of them are of one object.

        Raises:
            PskError: It was refused, or not answered in time.
        """
        return self.run(
            lambda link: run_script(link, script, names, *arguments, deadline=deadline),
            name=names[0],
            deadline=deadline,
            doing=doing,
        )


def run_script(link: Link, script: Script, names: Sequence[bytes], *arguments: bytes, deadline: float) -> Any:
    """Run a script over a link.

    Raises:
        Refusal: The server does not.
    """
    link.send((pack(*script.by_digest(names, *arguments)),), deadline)
    answer = link.reply_into(deadline)
    if isinstance(answer, Refusal) and answer.code == "NOSCRIPT":
        link.send((pack(*script.in_full(names, *arguments)),), deadline)
        answer = link.reply_into(deadline)
    return accepted(answer)


def accepted(answer: Any, *kinds: type) -> Any:
    """Return an answer.

    Args:
        answer: What the server said.
        kinds: The types that an answer to this question can have; none given: any.

    Raises:
        Refusal: That is what the answer is.
        GarbledError: It cannot be the answer to this question, so no later one can be believed either.
    """
    if isinstance(answer, Refusal):
        raise answer
    if kinds and type(answer) not in kinds:
        raise GarbledError(f"an answer of type {type(answer).__name__} to a question that has no such answers")
    return answer

"""Connectors with bugs that show only when the network fails."""

import contextlib
import threading
import time

from psk_dictionary.connector import DictionaryConnector
from psk_dictionary.links import Links

from psk.errors import ChannelUnavailableError


class Patched(DictionaryConnector):
    """Uses other links than the honest connector."""

    links_class = Links

    def __init__(self, address, **options):
        super().__init__(address, **options)
        self.links = self.links_class(self.links.address)


class WithoutDeadline(Patched):
    class links_class(Links):  # noqa: N801  an attribute
        def exchange(self, link, parts, deadline):
            return super().exchange(link, parts, deadline + 1)


class WithADeadlineForEachPiece(Patched):
    class links_class(Links):  # noqa: N801
        def exchange(self, link, parts, deadline):
            from psk_dictionary.messages import received

            link.settimeout(0.5)

            def read(most):
                if not (data := link.recv(most)):
                    raise ConnectionError
                return data

            link.sendall(b"".join(parts))
            head, body = received(read)
            return head.get("said"), body


class LosingObjects(Patched):
    def get(self, key, **options):
        try:
            return super().get(key, **options)
        except ChannelUnavailableError:
            return None


class FindingNothing(LosingObjects):
    """Takes a server that is not there for one that has no objects."""


class MissingAFile(Patched):
    def put(self, payload, **options):
        try:
            return super().put(payload, **options)
        except ChannelUnavailableError:
            raise FileNotFoundError("no such bucket") from None


class KeepingNothing(Patched):
    def put(self, payload, **options):
        try:
            return super().put(payload, **options)
        except ChannelUnavailableError:
            return payload.key

    def get(self, key, **options):
        return None


class LettingErrorsThrough(Patched):
    class links_class(Links):  # noqa: N801
        def ask(self, head, deadline, buffers=()):
            try:
                return super().ask(head, deadline, buffers)
            except ChannelUnavailableError as error:
                raise OSError(f"{error}") from None


class HoldingALock(Patched):
    class links_class(Links):  # noqa: N801
        def __init__(self, address):
            super().__init__(address)
            self.one_by_one = threading.Lock()

        def ask(self, head, deadline, buffers=()):
            with self.one_by_one:
                return super().ask(head, deadline, buffers)


KEPT = []


class KeepingConnections(Patched):
    class links_class(Links):  # noqa: N801
        def drop(self, link):
            KEPT.append(link)


class NeverConnectingAgain(Patched):
    class links_class(Links):  # noqa: N801
        broken = False

        def borrow(self, deadline):
            if self.broken:
                raise ChannelUnavailableError("the connection is gone")
            return super().borrow(deadline)

        def drop(self, link):
            self.broken = True
            super().drop(link)


class SendingLater(Patched):
    """Leaves it to a thread to send the caller's memory, as a library does that queues messages without a copy."""

    class links_class(Links):  # noqa: N801
        def exchange(self, link, parts, deadline):
            sent = threading.Event()

            def send():
                link.settimeout(None)
                with contextlib.suppress(OSError):
                    for part in parts:
                        link.sendall(part)
                sent.set()

            threading.Thread(target=send, daemon=True).start()
            if not sent.wait(max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            return super().exchange(link, [], deadline)

        def drop(self, link):
            KEPT.append(link)


class BlockingTheLoop(Patched):
    async def aget(self, key, **options):
        return self.get(key, **options)


CAUGHT_BY = {
    WithoutDeadline: ("test_every_call_ends_in_time[black-hole]", "C5"),
    WithADeadlineForEachPiece: ("test_every_call_ends_in_time[drip]", "C5"),
    LosingObjects: ("test_a_server_is_gone_and_comes_back[refuse]", "C22"),
    FindingNothing: ("test_a_channel_that_is_not_there_is_an_error", "C22"),
    MissingAFile: ("test_a_channel_that_is_not_there_is_an_error", "C5"),
    KeepingNothing: ("test_a_channel_that_is_not_there_is_an_error", "C22"),
    LettingErrorsThrough: ("test_a_server_is_gone_and_comes_back[refuse]", "C5"),
    HoldingALock: ("test_a_slow_transfer_holds_nobody_up", "C7"),
    KeepingConnections: ("test_calls_that_fail_keep_no_connections", "C11"),
    NeverConnectingAgain: ("test_a_connection_that_died_unused_is_replaced", "C5"),
    SendingLater: ("test_a_put_that_failed_sends_nothing_later", "C17"),
    BlockingTheLoop: ("test_coroutines_never_block_the_loop", "C57"),
}
"""What finds it, and the rules that it must name."""

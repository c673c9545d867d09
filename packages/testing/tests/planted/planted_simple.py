"""Connectors over SimpleConnector whose author's part has one bug each."""

import time

from psk.connectors import as_text
from psk.connectors.local import TOKEN, check_process
from psk.connectors.toolkit import SimpleConnector


class Simple(SimpleConnector):
    """Right: a dictionary for each name."""

    scheme = "simple"
    leaves_host = False
    options = {"authority": as_text, "process": as_text}  # noqa: RUF012  as authors write it
    defaults = {"process": TOKEN}  # noqa: RUF012  as above
    keeps_deadlines = True
    places = {}  # noqa: RUF012  shared on purpose

    def config(self):
        return {**super().config(), "process": TOKEN}

    def open(self, deadline, *, create):
        check_process(self.settings["process"], self.settings["authority"])
        return self.places.setdefault(self.settings["authority"], {})

    def place(self, name, data, deadline):
        whole = b"".join(data)
        return self.channel.setdefault(name, whole) is whole

    def fetch(self, name, deadline):
        return self.channel.get(name)

    def holds(self, name, deadline):
        return name in self.channel

    def remove(self, name, deadline):
        return self.channel.pop(name, None) is not None

    def names(self, deadline):
        return list(self.channel)


class PlacingOverAnything(Simple):
    def place(self, name, data, deadline):
        self.channel[name] = b"".join(data)
        return True


class PlacingHalfAtFirst(Simple):
    def place(self, name, data, deadline):
        whole = b"".join(data)
        if name in self.channel:
            return False
        self.channel[name] = whole[: len(whole) // 2]
        time.sleep(0.001)
        self.channel[name] = whole
        return True


class KeepingBuffers(Simple):
    def place(self, name, data, deadline):
        if not super().place(name, data, deadline):
            return False
        self.channel[name] = data
        return True

    def fetch(self, name, deadline):
        data = self.channel.get(name)
        return data if data is None else b"".join(data)


class HoldingEverything(Simple):
    def holds(self, name, deadline):
        return True


class RemovingNothing(Simple):
    def remove(self, name, deadline):
        return name in self.channel


class NamingAllButOne(Simple):
    def names(self, deadline):
        return super().names(deadline)[1:]


class IgnoringDeadlines(Simple):
    def fetch(self, name, deadline):
        time.sleep(1)
        return super().fetch(name, deadline)


class LettingErrorsOut(Simple):
    def holds(self, name, deadline):
        return self.channel[name] is not None


CAUGHT_BY = {
    PlacingOverAnything: ("test_another_payload_with_the_same_id_is_refused", "C16"),
    PlacingHalfAtFirst: ("test_get_beside_put_and_evict_is_whole_or_nothing", "C14", "C21"),
    KeepingBuffers: ("test_changes_after_the_put_are_not_seen", "C17"),
    HoldingEverything: ("test_a_missing_object_is_none", "C27"),
    RemovingNothing: ("test_evict_removes_and_may_be_repeated", "C28"),
    NamingAllButOne: ("test_keys_and_clear", "C55"),
    IgnoringDeadlines: ("test_a_call_without_time_ends_at_once", "C5"),
    LettingErrorsOut: ("test_a_missing_object_is_none", "C22"),
}
"""What finds it, and the rules that it must name."""

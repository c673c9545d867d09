"""Connectors with bugs in what they promise and in how they are described, closed and reopened."""

import os

from psk.connectors.local import LocalConnector


class ShowingSecrets(LocalConnector):
    def __init__(self, name=None, *, password=""):
        super().__init__(name)
        self.password = password

    @classmethod
    def from_config(cls, config):
        options = dict(config)
        password = options.pop("password", "")
        opened = super().from_config(options)
        opened.password = password
        return opened

    def __repr__(self):
        return f"ShowingSecrets({self._name!r}, password={self.password!r})"


class SilentWhenClosed(LocalConnector):
    def exists(self, key, **options):
        return self._space is not None and super().exists(key, **options)


class PromisingAnything(LocalConnector):
    @classmethod
    def from_config(cls, config):
        return super().from_config({name: value for name, value in config.items() if name != "durability"})


class PromisingInAnyOrder(LocalConnector):
    durabilities = ("host", "volatile")


class HidingThatItLeaves(LocalConnector):
    leaves_host = "no"


class DeletingOnClose(LocalConnector):
    def close(self, timeout=None):
        if self._space is not None:
            self.clear()
        super().close()


class SwallowingErrors(LocalConnector):
    def __exit__(self, *error):
        self.close()
        return True


class LeavingItOpen(LocalConnector):
    def __exit__(self, *error):
        return None


KEPT = []


class Immortal(LocalConnector):
    def __init__(self, name=None):
        super().__init__(name)
        KEPT.append(os.dup(2))


class DescribingTooMuch(LocalConnector):
    def __init__(self, name=None, *, retries=3):
        super().__init__(name)

    def config(self):
        return {**super().config(), "retries": 3}

    @classmethod
    def from_config(cls, config):
        return super().from_config({name: value for name, value in config.items() if name != "retries"})


class ForgettingItsName(LocalConnector):
    def config(self):
        return {"scheme": self.scheme}


class TakingAnyOption(LocalConnector):
    @classmethod
    def from_config(cls, config):
        return super().from_config({name: config[name] for name in ("scheme", "authority") if name in config})


class PicklingObjects(LocalConnector):
    def __reduce__(self):
        rebuild, arguments = super().__reduce__()
        held = {key: b"".join(map(bytes, frames.buffers)) for key, frames in self._space.objects.items()}
        return rebuild, arguments, (None, {"held": held})


class LookingAtEverything(LocalConnector):
    """Looks at each object when the channel is opened."""

    @classmethod
    def from_config(cls, config):
        opened = super().from_config(config)
        for key in opened.keys():  # noqa: SIM118  no dictionary
            opened.exists(key)
        return opened


CAUGHT_BY = {
    LookingAtEverything: ("test_opening_costs_the_same_whatever_it_holds", "C64"),
    ShowingSecrets: ("test_a_secret_among_the_options_is_not_repeated", "C12"),
    SilentWhenClosed: ("test_a_closed_connector_says_so", "C10"),
    PromisingAnything: ("test_a_durability_that_nobody_keeps_is_refused", "C32"),
    PromisingInAnyOrder: ("test_durabilities_are_declared", "C30"),
    HidingThatItLeaves: ("test_what_leaves_the_host_carries_a_checksum", "C33"),
    DeletingOnClose: ("test_close_deletes_nothing_and_may_be_repeated", "C34"),
    SwallowingErrors: ("test_a_with_block_closes_it_and_lets_errors_pass", "C34"),
    LeavingItOpen: ("test_a_with_block_closes_it_and_lets_errors_pass", "C34"),
    Immortal: ("test_a_collected_connector_releases_what_it_opened", "C34"),
    DescribingTooMuch: ("test_the_configuration_is_plain_and_short", "C35"),
    ForgettingItsName: ("test_the_configuration_rebuilds_the_channel", "C36", "C37"),
    TakingAnyOption: ("test_an_unknown_option_lists_the_known", "C36"),
    PicklingObjects: ("test_a_pickle_holds_the_configuration_alone", "C37"),
}
"""What finds it, and the rules that it must name."""

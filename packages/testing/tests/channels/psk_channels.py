"""Channels of unusual kinds that keep the contract: one that delivers in the background, and one with places."""

import os
import threading
import time

from psk.connectors import (
    ContextManaged,
    Rebuilding,
    as_text,
    check_timeout,
    deadline_after,
    deadline_error,
    read_options,
    validate_key,
)
from psk.connectors.local import TOKEN, LocalConnector, check_process
from psk.connectors.toolkit import SimpleConnector
from psk.errors import ChannelUnavailableError, ForkedConnectorError, InvalidKeyError
from psk.plugins import ConnectorPlugin, hookimpl


class Office:
    """Where deliveries are under way, and where they arrive."""

    def __init__(self):
        self.process = os.getpid()
        self.changed = threading.Condition()
        self.accepted = {}
        self.arrived = {}
        self.failed = set()


class MailConnector(SimpleConnector):
    """Accept objects, and deliver each a moment later (C62, C63)."""

    scheme = "mail"
    leaves_host = False
    options = {"authority": as_text, "process": as_text}  # noqa: RUF012  as authors write it
    defaults = {"process": TOKEN}  # noqa: RUF012  as above
    keeps_deadlines = True
    offices = {}  # noqa: RUF012  shared on purpose
    delay = 0.003
    #: What is lost on the way, if a test says so.
    losing = False

    def config(self):
        return {**super().config(), "process": TOKEN}

    def open(self, deadline, *, create):
        check_process(self.settings["process"], self.settings["authority"])
        office = self.offices.setdefault(self.settings["authority"], Office())
        if office.process != os.getpid():
            raise ForkedConnectorError("deliveries are made by threads of the parent process", remedy="put there")
        self.mine = set()
        return office

    def place(self, name, data, deadline):
        office = self.channel
        with office.changed:
            office.failed.discard(name)
            if name in office.accepted or name in office.arrived:
                return False
            office.accepted[name] = b"".join(data)
            self.mine.add(name)
        threading.Thread(target=self.deliver, args=(office, name), daemon=True).start()
        return True

    @classmethod
    def deliver(cls, office, name):
        time.sleep(cls.delay)
        with office.changed:
            data = office.accepted.pop(name, None)
            if data is not None and not cls.losing:
                office.arrived[name] = data
            elif data is not None:
                office.failed.add(name)
            office.changed.notify_all()

    def completed(self, name, deadline):
        """Wait until nothing of this name is under way."""
        office = self.channel
        with office.changed:
            if not office.changed.wait_for(lambda: name not in office.accepted, max(0.0, deadline - time.monotonic())):
                raise deadline_error(f"{name} is delivered")
            if name in office.failed:
                raise ChannelUnavailableError(f"{name} was lost on the way", remedy="put it again")
            return office

    def fetch(self, name, deadline):
        return self.completed(name, deadline).arrived.get(name)

    def holds(self, name, deadline):
        return name in self.completed(name, deadline).arrived

    def remove(self, name, deadline):
        return self.completed(name, deadline).arrived.pop(name, None) is not None

    def names(self, deadline):
        office = self.channel
        with office.changed:
            return [*office.accepted, *office.arrived]

    def close(self, timeout=None):
        deadline = deadline_after(timeout, self.settings["timeout"])
        try:
            for name in [] if self._is_closed else self.mine:
                self.completed(name, deadline)
        finally:
            super().close()


MEMBERS = ("east", "west")


class PlacedConnector(ContextManaged, Rebuilding):
    """Keep objects in one of several places; keys name it (C4, C60)."""

    scheme = "placed"
    leaves_host = False
    durabilities = ("volatile",)

    def __init__(self, name, place, *, process=None):
        check_process(process or TOKEN, name)
        self.name, self.place = name, place
        self.members = {member: LocalConnector(f"{name}-{member}") for member in MEMBERS}

    def at(self, key):
        """Find the member that a key means; a list that the URI fixes says where it is."""
        object_id, _, place = validate_key(key).partition("@")
        if (place or self.place) not in self.members:
            raise InvalidKeyError(f"{key!a} names no place here", found=MEMBERS, remedy="pass on what `put` returned")
        return self.members[place or self.place], object_id

    def put(self, payload, **options):
        return f"{self.members[self.place].put(payload, **options)}@{self.place}"

    def get(self, key, *, size=None, timeout=None):
        member, name = self.at(key)
        return member.get(name, size=size, timeout=timeout)

    def exists(self, key, *, timeout=None):
        member, name = self.at(key)
        return member.exists(name, timeout=timeout)

    def evict(self, key, *, timeout=None):
        member, name = self.at(key)
        member.evict(name, timeout=timeout)

    def keys(self, *, timeout=None):
        return (f"{key}@{self.place}" for key in self.members[self.place].keys(timeout=timeout))

    def clear(self, *, timeout=None):
        return self.members[self.place].clear(timeout=timeout)

    def renew(self, key, ttl, *, timeout=None):
        member, name = self.at(key)
        return member.renew(name, ttl, timeout=timeout)

    def close(self, timeout=None):
        check_timeout(timeout)
        for member in getattr(self, "members", {}).values():
            member.close()

    def config(self):
        return {"scheme": self.scheme, "authority": self.name, "path": f"/{self.place}", "process": TOKEN}

    @classmethod
    def from_config(cls, config):
        readers = {"authority": as_text, "path": as_text, "process": as_text}
        options = read_options(config, scheme=cls.scheme, readers=readers, required=("authority", "path"))
        name, place = options.pop("authority"), options.pop("path").strip("/")
        return cls(name, place, **options)


@hookimpl
def psk_connectors():
    return [
        ConnectorPlugin(schemes=["mail"], target="psk_channels:MailConnector"),
        ConnectorPlugin(schemes=["placed"], target="psk_channels:PlacedConnector"),
    ]

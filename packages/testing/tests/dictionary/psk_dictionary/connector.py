"""The dictionary connector: the contract over TCP."""

import asyncio
import re
import time

from psk.connectors import (
    DEFAULT_TIMEOUT,
    ContextManaged,
    Frames,
    Rebuilding,
    as_seconds,
    as_text,
    check_claim,
    check_object_id,
    check_range,
    check_ttl,
    deadline_after,
    deadline_error,
    key_of,
    listed,
    read_options,
    validate_plain_key,
)
from psk.errors import ChannelFullError, ChannelUnavailableError, ConnectorConfigError, KeyExistsError
from psk_dictionary.links import Links

READERS = {"authority": as_text, "path": as_text, "timeout": as_seconds}
is_address = re.compile(r"([\w.-]+):(\d{1,5})").fullmatch


class DictionaryConnector(ContextManaged, Rebuilding):
    """Keep objects in the dictionary of a server.

    Args:
        address: `host:port` of the server.
        space: A name that keeps the objects of one user apart from those of others.
        timeout: Seconds a call may take when it does not say otherwise.
    """

    scheme = "dict"
    leaves_host = True
    durabilities = ("volatile",)

    def __init__(self, address, *, space="", timeout=DEFAULT_TIMEOUT):
        self.links = None
        if not (found := is_address(address)):
            raise ConnectorConfigError("a dictionary needs the address of its server", remedy="write dict://host:port")
        self.address, self.space, self.timeout = address, space, timeout
        self.links = Links((found[1], int(found[2])))

    def put(self, payload, *, ttl=None, timeout=None, hints=None):
        deadline = deadline_after(timeout, self.timeout)
        if ttl is not None:
            check_ttl(ttl)
        said, _ = self.ask("put", payload.key, deadline, payload.buffers(), ttl=ttl)
        if said == "other":
            raise KeyExistsError(f"another object stands under {payload.key} in {self!r}", remedy="use a new object id")
        if said.startswith("full"):
            raise ChannelFullError(
                f"no room for the {payload.nbytes} bytes of {payload.key} in {self!r}",
                found=[f"{said[5:]} bytes free"],
                remedy="evict objects, or give the server more memory",
            )
        self.expect(said, "new", "same")
        return payload.key

    def get(self, key, *, size=None, timeout=None):
        return self.frames(self.ask("get", validate_plain_key(key), deadline_after(timeout, self.timeout)))

    def exists(self, key, *, timeout=None):
        said, _ = self.ask("exists", validate_plain_key(key), deadline_after(timeout, self.timeout))
        return self.expect(said, "found", "missing") == "found"

    def evict(self, key, *, timeout=None):
        self.expect(self.ask("evict", validate_plain_key(key), deadline_after(timeout, self.timeout))[0], "done")

    def close(self, timeout=None):
        if self.links is not None:
            self.links.close()

    def config(self):
        config = {"scheme": self.scheme, "authority": self.address}
        if self.space:
            config["path"] = f"/{self.space}"
        if self.timeout != DEFAULT_TIMEOUT:
            config["timeout"] = self.timeout
        return config

    @classmethod
    def from_config(cls, config):
        options = read_options(config, scheme=cls.scheme, readers=READERS, required=("authority",))
        space = options.get("path", "").strip("/")
        return cls(options["authority"], space=space, timeout=options.get("timeout", DEFAULT_TIMEOUT))

    def reserve(self, object_id, *, ttl=None, timeout=None):
        deadline_after(timeout, self.timeout)
        if ttl is not None:
            check_ttl(ttl)
        if self.links.closed:
            raise self.links.closed_error()
        return key_of(object_id)

    def fulfil(self, key, payload, *, ttl=None, timeout=None):
        check_object_id(validate_plain_key(key), payload.object_id)
        self.put(payload, ttl=ttl, timeout=timeout)

    def wait(self, keys, *, timeout=None):
        names = [f"{self.space}/{validate_plain_key(key)}" for key in keys]
        deadline = deadline_after(timeout, self.timeout)
        seconds = max(0.0, deadline - time.monotonic())
        # Without time left the server is asked all the same, in the half second that a call may take longer.
        said, body = self.links.ask({"do": "wait", "names": names, "seconds": seconds}, deadline + 0.3)
        self.expect(said, "found")
        found = {name.rpartition("/")[2] for name in self.names(body)}
        if not found:
            raise deadline_error(f"waiting for {listed(keys)} in {self!r}")
        return [key for key in keys if key in found]

    def renew(self, key, ttl, *, timeout=None):
        deadline = deadline_after(timeout, self.timeout)
        ttl = None if ttl is None else check_ttl(ttl)
        said, _ = self.ask("renew", validate_plain_key(key), deadline, ttl=ttl)
        return self.expect(said, "found", "missing") == "found"

    def take(self, key, claim, *, lease=None, size=None, timeout=None):
        deadline = deadline_after(timeout, self.timeout)
        lease = None if lease is None else check_ttl(lease, "lease")
        return self.frames(self.ask("take", validate_plain_key(key), deadline, claim=check_claim(claim), lease=lease))

    def get_range(self, key, offset, length, *, timeout=None):
        check_range(offset, length)
        deadline = deadline_after(timeout, self.timeout)
        frames = self.frames(self.ask("range", validate_plain_key(key), deadline, offset=offset, length=length))
        return None if frames is None else memoryview(frames.buffers[0])

    def keys(self, *, timeout=None):
        deadline = deadline_after(timeout, self.timeout)
        said, body = self.links.ask({"do": "keys", "space": f"{self.space}/"}, deadline)
        self.expect(said, "found")
        return iter([key for key in (name.rpartition("/")[2] for name in self.names(body)) if self.is_key(key)])

    def clear(self, *, timeout=None):
        deadline = deadline_after(timeout, self.timeout)
        cleared = 0
        for key in self.keys(timeout=timeout):
            cleared += self.exists(key, timeout=max(0.0, deadline - time.monotonic()))
            self.evict(key, timeout=max(0.0, deadline - time.monotonic()))
        return cleared

    async def aput(self, payload, *, ttl=None, timeout=None, hints=None):
        return await asyncio.to_thread(self.put, payload, ttl=ttl, timeout=timeout, hints=hints)

    async def aget(self, key, *, size=None, timeout=None):
        return await asyncio.to_thread(self.get, key, size=size, timeout=timeout)

    async def aexists(self, key, *, timeout=None):
        return await asyncio.to_thread(self.exists, key, timeout=timeout)

    async def aevict(self, key, *, timeout=None):
        return await asyncio.to_thread(self.evict, key, timeout=timeout)

    def ask(self, do, key, deadline, buffers=(), **options):
        return self.links.ask({"do": do, "name": f"{self.space}/{key}", **options}, deadline, buffers)

    def frames(self, answer):
        said, body = answer
        return Frames([body]) if self.expect(said, "found", "missing") == "found" else None

    def expect(self, said, *answers):
        if said not in answers:
            raise ChannelUnavailableError(
                f"the server of {self!r} gave an answer that there is not", remedy="see what else serves that port"
            )
        return said

    def names(self, body):
        try:
            return body.decode("ascii").split()
        except ValueError:
            self.expect("no text")

    @staticmethod
    def is_key(name):
        return len(name) == 32 and not set(name) - set("0123456789abcdef")

    def __repr__(self):
        return f"DictionaryConnector({self.address!r}, space={self.space!r})"

    def __del__(self):
        self.close()

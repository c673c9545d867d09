"""Lua scripts for what the server must decide in one step; they declare all names they touch, as a cluster demands.

An object is a string: the payload itself, or the manifest of a payload that is stored in parts. A manifest begins as
its payload does (`psk.connectors.HEADER_BYTES`), but for the magic, so that the revision is read in one place. A script
that is to change or remove an object in parts, and was not given this manifest, does nothing and answers with the
manifest: the caller asks again and names the parts.

Times are milliseconds from now, empty for never; only the server's clock counts. A script that can fail does so before
its first write, because nothing that it did would be undone.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

from psk_connector_redis.protocol import Refusal, accepted, pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk_connector_redis.connection import Connection

PAYLOAD_MAGIC: Final = b"\x93PSK"
"""The first bytes of a stored payload (docs/wire.md)."""

MANIFEST_MAGIC: Final = b"\x93PSM"
"""The first bytes of the manifest of a payload in parts."""

# The names that all scripts use: `left` is what PTTL says, -1 for never.
_FUNCTIONS = r"""
local PAYLOAD, MANIFEST = '\147PSK', '\147PSM'

local function keep(name, left)
  if left < 0 then
    redis.call('PERSIST', name)
  else
    redis.call('PEXPIRE', name, string.format('%.0f', math.max(left, 1)))
  end
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A claim ends with its lease, and never after its object.
local function keep_claim(name, left)
  local held = redis.call('GET', name)
  local lease = held and tonumber(string.match(held, '^%d+'))
  if lease then
    lease = math.max(lease - now(), 1)
    if left < 0 or lease < left then left = lease end
  end
  if held then keep(name, left) end
end
"""


class Script:
    """The source of a script, and the digest by which a server that has run it knows it.

    Args:
        body: Lua; sees KEYS, ARGV and the functions above.
    """

    __slots__ = ("_digest", "_source")

    def __init__(self, body: str) -> None:
        self._source = f"{_FUNCTIONS}{body}".encode()
        self._digest = sha1(self._source, usedforsecurity=False).hexdigest().encode()

    def by_digest(self, names: Sequence[bytes], *arguments: bytes) -> tuple[bytes, ...]:
        """Return the command that runs the script on a server that knows it; another one answers NOSCRIPT."""
        return (b"EVALSHA", self._digest, b"%d" % len(names), *names, *arguments)

    def in_full(self, names: Sequence[bytes], *arguments: bytes) -> tuple[bytes, ...]:
        """Return the command that runs the script on any server, which knows it from then on."""
        return (b"EVAL", self._source, b"%d" % len(names), *names, *arguments)

    def run(self, connection: Connection, names: Sequence[bytes], *arguments: bytes, deadline: float) -> Any:
        """Run the script over a connection, and return its answer.

        Raises:
            Refusal: The server refuses.
        """
        connection.send((pack(*self.by_digest(names, *arguments)),), deadline)
        answer = connection.reply_into(deadline)
        if isinstance(answer, Refusal) and answer.code == "NOSCRIPT":
            connection.send((pack(*self.in_full(names, *arguments)),), deadline)
            answer = connection.reply_into(deadline)
        return accepted(answer)


TAKE: Final = Script("""
local size, left = redis.call('STRLEN', KEYS[1]), redis.call('PTTL', KEYS[1])
if left == -2 then return 0 end
local held = redis.call('GET', KEYS[2])
if held and string.match(held, '^%d*:(.*)$') ~= ARGV[1] then return 0 end
local lease = tonumber(ARGV[2])
local value = (lease and string.format('%.0f', now() + lease) or '') .. ':' .. ARGV[1]
if lease and (left < 0 or lease < left) then left = lease end
redis.call('SET', KEYS[2], value)
if left >= 0 then keep(KEYS[2], left) end
if size <= tonumber(ARGV[3]) and redis.call('GETRANGE', KEYS[1], 0, 3) ~= MANIFEST then
  return redis.call('GET', KEYS[1])
end
return 1
""")
"""Names: object, claim. Arguments: the claim, its lease, up to which size the answer is the object.

Answers 0 if there is no object or another claim holds it; the object; 1 if the caller has it, but must fetch it.
"""

HOLDS_CLAIM: Final = Script("""
local held = redis.call('GET', KEYS[1])
return held and string.match(held, '^%d*:(.*)$') == ARGV[1] and 1 or 0
""")
"""Names: claim. Arguments: the claim. Answers 1 if it is held by this claim."""

RENEW: Final = Script("""
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('GETRANGE', KEYS[1], 0, 3) == MANIFEST then
  local manifest = redis.call('GET', KEYS[1])
  if manifest ~= ARGV[2] then return manifest end
end
local left = tonumber(ARGV[1]) or -1
keep(KEYS[1], left)
for number = 3, #KEYS do keep(KEYS[number], left) end
keep_claim(KEYS[2], left)
return 1
""")
"""Names: object, claim, parts. Arguments: time to live, the manifest that names the parts (or empty).

Answers 1; 0 if there is no object; or a manifest.
"""

EVICT: Final = Script("""
local magic = redis.pcall('GETRANGE', KEYS[1], 0, 3)
if type(magic) == 'table' and not (ARGV[2] == 'any' and string.find(magic.err, 'WRONGTYPE', 1, true)) then
  return magic
end
if magic == MANIFEST then
  local manifest = redis.call('GET', KEYS[1])
  if manifest ~= ARGV[1] then return manifest end
end
local there = redis.call('UNLINK', KEYS[1])
for number = 2, #KEYS do redis.call('UNLINK', KEYS[number]) end
return there
""")
"""Names: object, claim, parts. Arguments: the manifest that names the parts (or empty); `any` to remove what is not a
string too, which is refused otherwise.

Answers whether something was there, as 1 or 0; or a manifest.
"""

FORGET: Final = Script("""
if redis.call('EXISTS', KEYS[1]) == 1 or redis.call('PTTL', KEYS[2]) ~= -1 then return 0 end
return redis.call('UNLINK', KEYS[2])
""")
"""Names: object, a claim or part of it. Removes what would stay for ever although its object is gone; answers 1 or 0.

Parts that are being uploaded have a time to live, so they are left alone.
"""

DISCARD: Final = Script("""
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) == ARGV[1] then return 0 end
for number = 2, #KEYS do redis.call('UNLINK', KEYS[number]) end
return 1
""")
"""Names: object, uploaded parts. Arguments: their manifest. Removes the parts unless they have become visible."""

COMMIT: Final = Script("""
for number = 2, #KEYS do
  if redis.call('EXISTS', KEYS[number]) == 0 then return -1 end
end
local left = tonumber(ARGV[2]) or -1
if not redis.call('SET', KEYS[1], ARGV[1], 'NX') then return 0 end
if left >= 0 then keep(KEYS[1], left) end
for number = 2, #KEYS do keep(KEYS[number], left) end
return 1
""")
"""Names: object, uploaded parts. Arguments: the manifest, time to live.

Answers 1; 0 if the name is taken already; -1 if parts have vanished and must be uploaded again.
"""

SWAP: Final = Script("""
local head = redis.call('GETRANGE', KEYS[1], 0, 47)
if head == '' and redis.call('EXISTS', KEYS[1]) == 0 then return {'missing'} end
local magic = string.sub(head, 1, 4)
if #head < 48 or magic ~= PAYLOAD and magic ~= MANIFEST then return {'foreign'} end
local one, two, three, four = string.byte(head, 37, 40)
local current = one + 256 * (two + 256 * (three + 256 * four))
if tonumber(ARGV[2]) ~= current + 1 then return {'revision', string.format('%.0f', current)} end
if magic == MANIFEST then
  local manifest = redis.call('GET', KEYS[1])
  if manifest ~= ARGV[5] then return {'manifest', manifest} end
end
local uploaded = tonumber(ARGV[4])
for number = 3, 2 + uploaded do
  if redis.call('EXISTS', KEYS[number]) == 0 then return {'vanished'} end
end
local left = redis.call('PTTL', KEYS[1])
if ARGV[3] ~= 'same' then left = tonumber(ARGV[3]) or -1 end
if ARGV[1] == '' then
  redis.call('UNLINK', KEYS[1])
  redis.call('RENAME', KEYS[3], KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1])
  for number = 3, 2 + uploaded do keep(KEYS[number], left) end
end
keep(KEYS[1], left)
for number = 3 + uploaded, #KEYS do redis.call('UNLINK', KEYS[number]) end
keep_claim(KEYS[2], left)
return {'swapped'}
""")
"""Names: object, claim, what was uploaded, parts of the current version.

Arguments: the new version or its manifest, or empty if the upload is to be renamed; its revision; time to live or
`same`; how many names were uploaded; the manifest of the current version (or empty).

Answers a list: `swapped`; `missing`; `foreign`; `vanished` if the upload must be repeated; `revision` and the current
one; `manifest` and the manifest.
"""

"""Quote the rules of docs/contract.md by number, so that a failed test or check can name its rule."""

from __future__ import annotations

from typing import Final

RULES: Final = {
    "C1": (
        "A key is text of the form `<object id>` or `<object id>@<where>`. The object id is 32 lower-case "
        "hexadecimal digits; where is 1 to 63 of `A-Z a-z 0-9 . _ ~ @ : + -`. A key has at most 96 bytes."
    ),
    "C2": (
        "The key that `put` returns begins with the object id in the payload's header. A reader compares the "
        "two, so a swapped object is noticed."
    ),
    "C3": (
        "Every method that takes a key refuses anything else with `InvalidKeyError` before it touches the "
        "channel. The message shows at most about 100 characters of it. A channel without places refuses keys "
        "that name one."
    ),
    "C4": (
        "No key, and nothing that was planted under its name, makes a connector touch anything outside its "
        "own key space, follow a link, wait for another program, or contact an address. The address of a "
        "place comes from the URI, or from a list of members that the URI fixes."
    ),
    "C5": (
        "A call ends with a value or with an error from `psk.errors`, within its deadline and half a second. "
        "`MemoryError` and `KeyboardInterrupt` pass. Native code that may take longer runs where it can be "
        "abandoned. (A kernel that is stuck on a dead hard mount cannot be interrupted.)"
    ),
    "C6": (
        "`timeout` is a number of seconds, 0 or more. `None` means the connector's own default, which is "
        "finite. Anything else, infinity and NaN included, is an `InvalidArgumentError`."
    ),
    "C7": "One instance serves any number of threads. No lock is held while bytes move.",
    "C8": (
        "A forked child can use the connector, or gets `ForkedConnectorError` at once. It never hangs, also "
        "if other threads used the connector at the fork, and also with a connector that the child opens in "
        "addition to its parent's."
    ),
    "C9": "It works inside a running event loop, and starts none in the caller's thread.",
    "C10": "After `close()` every call that needs the channel raises `ConnectorClosedError`.",
    "C11": "A call that fails leaves nothing behind: no part of an object, temporary file, descriptor or thread.",
    "C12": "No secret appears in an error, a `repr`, a configuration or a URI.",
    "C13": "`put` returns when the channel holds the whole payload, at the declared durability (C31).",
    "C14": (
        "An object appears by one atomic step. If the writer is killed at any moment, the channel holds the "
        "whole object or none."
    ),
    "C15": (
        "The same payload put twice is one put: the same key, one object, and the expiry of the first. So a "
        "put whose answer was lost may be repeated."
    ),
    "C16": (
        "A `put` never overwrites. A different payload with the same object id is a `KeyExistsError`, and the "
        "object that the channel holds is not touched. C58 is about writers at the same moment."
    ),
    "C17": (
        "It keeps no buffer of the caller after the call has ended, with a value, an error or an interrupt. "
        "What the caller does to its memory afterwards never reaches the channel."
    ),
    "C18": (
        "`ttl` is a positive number of seconds, at most a century (`InvalidArgumentError`). A channel that "
        "cannot keep it raises `CapabilityError`; it is never ignored."
    ),
    "C19": "`hints` are wishes by name. A connector uses those that it knows and ignores the others.",
    "C20": (
        "Without room it raises `ChannelFullError` with the object's size, the free space and a remedy. The "
        "next `put` after an `evict` works."
    ),
    "C21": "`get` returns the bytes of one whole completed `put`, or `None`; never a mixture, never a part.",
    "C22": (
        "`None` means that the channel holds no object: it was never put, was evicted, or has expired. A "
        "channel that does not exist or cannot be reached is a `ChannelUnavailableError`, never an empty "
        "channel; a `put` may create it."
    ),
    "C23": (
        "It returns `Frames`: one buffer with the whole payload, or the header block and one buffer for each "
        "frame. A writable buffer is private to the receiver. A read-only one is shared, and nobody can "
        "change it."
    ),
    "C24": (
        "It interprets nothing: `Payload` detects damage. Bytes that vanish during the read are a "
        "`PayloadError`; something that cannot be an object of psk (a link, a FIFO, another user's file) is a "
        "`ChannelDataError`."
    ),
    "C25": (
        "`size` (of `get`, `aget` and `take`) and `sizes` (of `get_batch`, one for each key) are hints, so "
        "that a receive can be posted. They are never trusted."
    ),
    "C26": "It allocates what the channel holds, never what a reference or a header claims.",
    "C27": "`exists` is true exactly when `get` would return an object.",
    "C28": (
        "`evict` removes the object with its claim and its expiry. A missing key is not an error, so the call "
        "may be repeated."
    ),
    "C29": "A `get` during an `evict` returns the whole object or `None`.",
    "C30": (
        "`volatile`: may be lost with a process. `host`: survives the sudden death of every psk process. "
        "`disk`: survives loss of power. `replicated`: survives the loss of one machine. Each includes the "
        "ones before it."
    ),
    "C31": (
        "The return of `put` means that the level was reached, also for a payload that the channel held already (C15)."
    ),
    "C32": (
        "`durabilities` of an instance lists what it can promise where it was opened. Asking for more is a "
        "`DurabilityError` at once, never silently a weaker promise."
    ),
    "C33": (
        "`leaves_host` of an instance says whether bytes leave this host's memory. If they do, payloads carry "
        "a checksum unless the user says otherwise."
    ),
    "C34": (
        "`close(timeout)` releases what this instance opened and deletes nothing. Closing twice is not an "
        "error. A `with` block returns the instance, and closes it at its end. An instance that is "
        "garbage-collected releases the same. A process that ends with an open instance, even during calls, "
        "ends at once, with its own exit code and no message."
    ),
    "C35": (
        "`config()` is a flat dictionary of plain values (text, numbers, booleans) with `scheme`, without "
        "secrets, and without options that have their default."
    ),
    "C36": (
        "`from_config(config())`, in any process, and `open_connector(format_uri(config()))` open the same "
        "channel, or raise a typed error that says why it cannot be reached from there. Every option may be "
        "given as text. An unknown option or an invalid value is a `ConnectorConfigError` that lists the "
        "known options."
    ),
    "C37": "Pickling a connector pickles its configuration.",
    "C38": (
        "What killed processes left behind is gone after the next opening of the channel. Nothing that a "
        "living process uses is touched."
    ),
    "C39": (
        "`isinstance(connector, SupportsX)` says that the connector has the capability. If the place it was "
        "opened on does not allow it, the method raises `CapabilityError` and says why."
    ),
    "C40": (
        "`reserve(object_id)` returns the key that the object with this id will have. Until it is put, `get` "
        "returns `None`."
    ),
    "C41": (
        "`fulfil(key, payload)` is a `put` (C13 to C20). A payload with a different object id is an `InvalidKeyError`."
    ),
    "C42": (
        "`wait(keys)` returns as soon as at least one object exists: those that do, in the order of the keys. "
        "It wakes up by notification. Where nothing notifies (a network file system, a limit of the system "
        "that is reached) it looks, every 2 ms at most in the first second and every 50 ms later, or as C61 "
        "says. An expired or evicted object does not exist, and one that comes and goes at once may be "
        "missed. When time is up it raises `DeadlineError`."
    ),
    "C43": "Answers come in the order of the arguments. A batch is not atomic; each object in it is.",
    "C44": (
        "From its expiry on no `get` returns an object, whatever the client's clock does, and its name is "
        "free for a repeated `put`."
    ),
    "C45": (
        "`renew(key, ttl)` sets the expiry to `ttl` seconds from now, `None` to never. True means that it "
        "did; False that the object is gone."
    ),
    "C46": (
        "The bytes are freed within 1 s while a process that set the expiry has the channel open, else by the "
        "next process that accesses the object or opens the channel."
    ),
    "C47": (
        "Of any number of `take(key, claim)` with different claims, in any threads and processes, exactly one "
        "returns the object. The others return `None`, and so do later ones."
    ),
    "C48": ("The same claim asking again gets the same object, so a lost answer costs nothing. Its lease starts anew."),
    "C49": "After `lease` seconds the object can be claimed by others; without a lease, never.",
    "C50": (
        "`evict` ends object and claim. `get` and `exists` ignore claims. A claim is 1 to 128 printable ASCII "
        "characters (`InvalidArgumentError`)."
    ),
    "C51": (
        "`swap(key, payload)` replaces the object if the payload's revision is the current one plus 1; "
        "otherwise `RevisionConflictError` names the current one. Of many swaps of one revision exactly one "
        "succeeds."
    ),
    "C52": "Readers see the old version or the new one, whole, and never the old one after the new one.",
    "C53": (
        "The current payload swapped in again is one swap (C15). Without an object: `MissingKeyError`. "
        "`ttl=None` leaves the expiry as it is."
    ),
    "C54": (
        "`get_range(key, offset, length)` returns those bytes of the payload as it would lie in one buffer: "
        "fewer at its end, none after it, `None` without an object. Negative numbers are an "
        "`InvalidArgumentError`."
    ),
    "C55": (
        "`keys()` returns the key of each object that the channel holds during the whole call, and may return "
        "keys of objects that come or go meanwhile."
    ),
    "C56": (
        "`clear()` deletes every object that psk wrote in this channel, whichever store did, and returns how "
        "many. What psk did not write stays."
    ),
    "C57": "`aput`, `aget`, `aexists` and `aevict` do what the methods without `a` do, and never block the loop.",
    "C58": (
        "Of several writers that put different payloads with one object id at the same moment exactly one "
        "succeeds, and the others get `KeyExistsError`. This is a duty of channels with SupportsReserve, "
        "where the outcome of a reservation depends on it."
    ),
    "C59": (
        "`uri()` returns the URI that opens this channel elsewhere, also if the connector was opened by a URI "
        "that names no place, such as `shm://`."
    ),
    "C60": (
        "In a channel with places, a key without a place means the place of this instance, and `keys` and "
        "`clear` are about that place alone."
    ),
    "C61": (
        "A connector whose looks are expensive, and which cannot notify, declares `look_interval`, in "
        "seconds. A process that waits looks at once and then no more often than that."
    ),
    "C62": (
        "A channel that delivers in the background may return from `put` when the delivery is accepted. Until "
        "the delivery is complete, every other call for the object waits, within its deadline; no call "
        "answers that the object is missing. A delivery that failed is a `ChannelUnavailableError`."
    ),
    "C63": (
        "`close(timeout)` waits until the deliveries that this instance accepted are complete. If they are "
        "not in time it raises `DeadlineError`; the instance is closed all the same."
    ),
    "C64": "Opening a channel takes the same time however much it holds.",
    "C65": (
        "`allocate(nbytes)` returns an allocation whose `buffer` is writable, has this size, and is memory of "
        "the channel. Without room it raises `ChannelFullError`. It counts towards the channel's limit, in "
        "all processes. No other call sees it."
    ),
    "C66": (
        "`commit` is a `put` (C2, C13 to C20) of the payload in the buffer. A buffer that does not hold one "
        "whole payload of its size is a `PayloadError`, and nothing is stored. What is written through an "
        "older view of the buffer never reaches the object: the connector stores a copy, or refuses with "
        "`InvalidArgumentError` while such views exist."
    ),
    "C67": (
        "After `abort`, at the end of a `with` block without `commit`, and after the death of the process "
        "nothing of the allocation is left. `buffer` cannot be used after `commit` or `abort`. A second "
        "`abort`, and one after `commit`, does nothing."
    ),
    "C68": (
        "`dispatch` calls the callback of each key of the watcher whose object exists, in the calling thread, "
        "and forgets the key. This holds for objects that exist when they are added and for those that come "
        "later, also between `add` and `dispatch`. It never waits."
    ),
    "C69": (
        "`fileno()` is readable when `dispatch` has something to do. Where there is no descriptor, or the "
        "channel cannot notify, `dispatch` returns the seconds after which it must be called again. A "
        "dispatch without anything to do takes the same time however many keys there are."
    ),
}
"""The text of every rule, as docs/contract.md has it."""


def rule_text(number: str) -> str:
    """Return a rule with its number and source, for messages."""
    return f"rule {number} of docs/contract.md: {RULES[number]}"

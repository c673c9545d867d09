"""The server decides in one step what it must, and leaves everything alone that it refuses."""

import time

import pytest
from redis.exceptions import NoScriptError, ResponseError

from psk.wire import encode
from psk_connector_redis.scripts import COMMIT, EVICT, FORGET, HOLDS_CLAIM, MANIFEST_MAGIC, RENEW, SWAP, TAKE

AT_ONCE = b"65536"


@pytest.fixture(params=["redis", "valkey"])
def client(request, redis_server, valkey_server):
    """A plain client of each kind of server."""
    opened = {"redis": redis_server, "valkey": valkey_server}[request.param].client()
    yield opened
    opened.close()


class Subject:
    """One object's names on a server, and the scripts applied to them."""

    def __init__(self, client, prefix):
        self.client = client
        self.payload = encode("first")
        self.object = f"{prefix}:{{{self.payload.key}}}".encode()
        self.claim = self.object + b":claim"
        self.parts = [self.object + b":part:nonce:%d" % number for number in range(3)]
        self.manifest = MANIFEST_MAGIC + self.payload.tobytes()[4:48] + b"and which parts"

    def run(self, script, names, *arguments):
        try:
            command = script.by_digest(names, *arguments)
            return self.client.execute_command(*command)
        except NoScriptError:
            command = script.in_full(names, *arguments)
            return self.client.execute_command(*command)

    def put(self, ttl=None):
        self.client.set(self.object, self.payload.tobytes(), px=ttl)

    def take(self, claim, lease=b"", at_once=AT_ONCE):
        return self.run(TAKE, [self.object, self.claim], claim, lease, at_once)

    def renew(self, ttl, *, parts=(), manifest=b""):
        return self.run(RENEW, [self.object, self.claim, *parts], ttl, manifest)

    def evict(self, *, parts=(), manifest=b""):
        return self.run(EVICT, [self.object, self.claim, *parts], manifest)

    def version(self, revision):
        return encode("next", object_id=self.payload.object_id, revision=revision).tobytes()

    def swap(self, revision, value=None, *, ttl=b"same", uploaded=(), parts=(), manifest=b""):
        value = self.version(revision) if value is None else value
        names = [self.object, self.claim, *uploaded, *parts]
        return self.run(SWAP, names, value, b"%d" % revision, ttl, b"%d" % len(uploaded), manifest)

    def put_in_parts(self, ttl=b""):
        for name in self.parts:
            self.client.set(name, b"part", px=60_000)
        assert self.run(COMMIT, [self.object, *self.parts], self.manifest, ttl) == 1

    def left(self, name):
        return self.client.pttl(name)


@pytest.fixture
def subject(client, prefix):
    """An object that does not exist yet."""
    return Subject(client, prefix)


def test_a_script_is_known_by_its_digest_from_the_second_time_on(subject):
    subject.client.script_flush()
    with pytest.raises(NoScriptError):
        subject.client.execute_command(*EVICT.by_digest([subject.object, subject.claim], b""))
    subject.client.execute_command(*EVICT.in_full([subject.object, subject.claim], b""))
    assert subject.client.execute_command(*EVICT.by_digest([subject.object, subject.claim], b"")) == 0


def test_the_first_claim_gets_the_object(subject):
    assert subject.take(b"one") == 0
    subject.put()
    assert subject.take(b"one") == subject.payload.tobytes()
    assert subject.take(b"two") == 0
    assert subject.take(b"one", at_once=b"3") == 1
    assert subject.run(HOLDS_CLAIM, [subject.claim], b"one") == 1
    assert subject.run(HOLDS_CLAIM, [subject.claim], b"two") == 0


def test_a_claim_is_compared_as_text(subject):
    subject.put()
    for claim in (b"%d*", b":", b"12:34", b"^.$"):
        assert subject.take(claim) == subject.payload.tobytes()
        assert subject.run(HOLDS_CLAIM, [subject.claim], claim) == 1
        assert subject.take(claim + b" ") == 0
        subject.client.delete(subject.claim)


def test_a_claim_ends_with_its_lease_or_its_object(subject):
    subject.put(ttl=50_000)
    subject.take(b"one")
    assert 49_000 < subject.left(subject.claim) <= 50_000
    subject.take(b"one", lease=b"20000")
    assert 19_000 < subject.left(subject.claim) <= 20_000
    subject.take(b"one", lease=b"90000")
    assert 49_000 < subject.left(subject.claim) <= 50_000
    subject.take(b"one", lease=b"20")
    time.sleep(0.03)
    assert subject.take(b"two") == subject.payload.tobytes()


def test_renewing_moves_the_claim_too(subject):
    assert subject.renew(b"1000") == 0
    subject.put(ttl=50_000)
    subject.take(b"one", lease=b"90000")
    assert subject.renew(b"") == 1
    assert subject.left(subject.object) == -1
    assert 50_000 < subject.left(subject.claim) <= 90_000
    subject.take(b"one")
    assert subject.left(subject.claim) == -1
    assert subject.renew(b"70000") == 1
    assert 69_000 < subject.left(subject.claim) <= 70_000
    subject.renew(b"")
    assert subject.left(subject.claim) == -1


def test_a_century_is_not_too_long(subject):
    subject.put()
    assert subject.take(b"one", lease=b"3200000000000") == subject.payload.tobytes()
    assert subject.renew(b"3200000000000") == 1
    assert subject.left(subject.object) > 3_100_000_000_000
    assert subject.left(subject.claim) > 3_100_000_000_000


def test_evict_ends_object_and_claim(subject):
    subject.put()
    subject.take(b"one")
    assert subject.evict() == 1
    assert subject.client.exists(subject.object, subject.claim) == 0
    assert subject.evict() == 0


def test_parts_appear_and_stay_with_their_manifest(subject):
    assert subject.run(COMMIT, [subject.object, *subject.parts], subject.manifest, b"") == -1
    subject.put_in_parts()
    assert [subject.left(name) for name in subject.parts] == [-1] * 3
    assert subject.run(COMMIT, [subject.object, *subject.parts], subject.manifest, b"") == 0
    assert subject.renew(b"90000") == subject.manifest
    assert subject.left(subject.object) == -1
    assert subject.renew(b"90000", parts=subject.parts, manifest=subject.manifest) == 1
    assert all(80_000 < subject.left(name) <= 90_000 for name in [subject.object, *subject.parts])


def test_parts_expire_with_their_manifest(subject):
    subject.put_in_parts(ttl=b"50000")
    assert all(40_000 < subject.left(name) <= 50_000 for name in [subject.object, *subject.parts])


def test_parts_are_evicted_by_who_knows_them(subject):
    subject.put_in_parts()
    assert subject.take(b"one") == 1  # to be fetched, however short the manifest is
    assert subject.evict() == subject.manifest
    assert subject.evict(parts=subject.parts, manifest=b"another") == subject.manifest
    assert subject.evict(parts=subject.parts, manifest=subject.manifest) == 1
    assert subject.client.exists(subject.object, subject.claim, *subject.parts) == 0


def test_a_swap_needs_the_revision_before(subject):
    assert subject.swap(1) == [b"missing"]
    subject.put(ttl=50_000)
    subject.take(b"one")
    for revision in (0, 2, 4_000_000_000):
        assert subject.swap(revision) == [b"revision", b"0"]
    assert subject.swap(1) == [b"swapped"]
    assert subject.client.get(subject.object) == subject.version(1)
    assert 40_000 < subject.left(subject.object) <= 50_000
    assert 40_000 < subject.left(subject.claim) <= 50_000
    assert subject.swap(1) == [b"revision", b"1"]
    assert subject.swap(2, ttl=b"") == [b"swapped"]
    assert subject.left(subject.object) == subject.left(subject.claim) == -1
    assert subject.swap(3, ttl=b"9000") == [b"swapped"]
    assert 0 < subject.left(subject.claim) <= subject.left(subject.object) + 1000 <= 10_000


def test_the_highest_revisions_are_told_exactly(subject):
    subject.client.set(subject.object, subject.version(2**32 - 2))
    assert subject.swap(1) == [b"revision", b"4294967294"]
    assert subject.swap(2**32 - 1) == [b"swapped"]


def test_an_upload_takes_the_place_of_what_stands_there(subject):
    upload = subject.parts[0]
    subject.put(ttl=50_000)
    assert subject.swap(1, b"", uploaded=[upload]) == [b"vanished"]
    subject.client.set(upload, subject.version(1), px=1000)
    assert subject.swap(1, b"", uploaded=[upload]) == [b"swapped"]
    assert subject.client.get(subject.object) == subject.version(1)
    assert 40_000 < subject.left(subject.object) <= 50_000
    assert not subject.client.exists(upload)


def test_a_swap_between_parts(subject):
    subject.put_in_parts()
    uploaded = [name + b"new" for name in subject.parts]
    manifest = MANIFEST_MAGIC + subject.version(1)[4:48] + b"new"
    assert subject.swap(1, manifest) == [b"manifest", subject.manifest]
    known = {"parts": subject.parts, "manifest": subject.manifest}
    assert subject.swap(1, manifest, uploaded=uploaded, **known) == [b"vanished"]
    assert subject.client.exists(*subject.parts) == 3
    for name in uploaded:
        subject.client.set(name, b"new", px=1000)
    assert subject.swap(1, manifest, uploaded=uploaded, **known) == [b"swapped"]
    assert subject.client.get(subject.object) == manifest
    assert subject.client.exists(*subject.parts) == 0
    assert [subject.left(name) for name in uploaded] == [-1] * 3
    assert subject.swap(2, parts=uploaded, manifest=manifest) == [b"swapped"]
    assert subject.client.exists(*uploaded) == 0


def test_what_stays_without_its_object_is_forgotten(subject):
    subject.put()
    subject.take(b"one")
    names = [subject.object, subject.claim]
    assert subject.run(FORGET, names) == 0
    subject.client.delete(subject.object)
    assert subject.run(FORGET, names) == 1
    assert not subject.client.exists(subject.claim)
    subject.client.set(subject.parts[0], b"in upload", px=60_000)
    assert subject.run(FORGET, [subject.object, subject.parts[0]]) == 0


def test_what_is_no_object_is_left_alone(subject):
    subject.client.rpush(subject.object, b"foreign")
    calls = (lambda: subject.take(b"one"), subject.evict, lambda: subject.renew(b"9"), lambda: subject.swap(1))
    for call in calls:
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            call()
    assert subject.client.lrange(subject.object, 0, -1) == [b"foreign"]
    assert subject.left(subject.object) == -1
    assert not subject.client.exists(subject.claim)
    subject.client.delete(subject.object)
    for value in (b"", b"short", b"x" * 100):
        subject.client.set(subject.object, value)
        assert subject.swap(1) == [b"foreign"]

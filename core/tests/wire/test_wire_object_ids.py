"""Give no object id twice."""

import os
from concurrent.futures import ThreadPoolExecutor

from psk.wire import new_object_id, payload


def test_ids_are_unique_among_threads():
    with ThreadPoolExecutor(16) as pool:
        batches = list(pool.map(lambda _: [new_object_id() for _ in range(2000)], range(16)))
    ids = {made for batch in batches for made in batch}
    assert len(ids) == 16 * 2000
    assert {len(made) for made in ids} == {16}


def test_a_forked_child_uses_none_of_its_parents_ids():
    new_object_id()
    assert payload._unused_ids, "the batch must hold some, or the test shows nothing"
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(theirs, b"".join(new_object_id() for _ in range(300)))
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    made_there = {content[start : start + 16] for start in range(0, len(content), 16)}
    assert len(made_there) == 300
    assert not made_there & {new_object_id() for _ in range(600)}

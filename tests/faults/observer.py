"""The observer that tests install, and how their programs read what it recorded."""

PLUGIN = """
    from psk import hookimpl
    events = []
    @hookimpl
    def psk_after_put(store, key, nbytes, seconds): events.append(("put", store, key, nbytes, seconds))
    @hookimpl
    def psk_after_get(store, key, nbytes, seconds): events.append(("get", store, key, nbytes, seconds))
    @hookimpl
    def psk_after_evict(store, key, nbytes, seconds): events.append(("evict", store, key, nbytes, seconds))
    @hookimpl
    def psk_after_resolve(store, key, nbytes, seconds): events.append(("resolve", store, key, nbytes, seconds))
"""
#: `heard()` gives what was heard since: operation, number of the key in order of appearance, whether bytes moved.
HEARD = """
        import asyncio, pickle
        def heard():
            import their_observer
            keys = []
            for event in their_observer.events:
                if event[2] not in keys: keys.append(event[2])
                assert 0 <= event[4] < 20, event
            told = [[event[0], event[1], keys.index(event[2]), event[3] > 0] for event in their_observer.events]
            their_observer.events.clear()
            return told
"""

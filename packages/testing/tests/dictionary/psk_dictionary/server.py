"""Keep objects by name for clients, in threads of whatever process this is; `python server.py PORT` runs it alone."""

import contextlib
import socket
import sys
import threading
import time

from psk_dictionary.messages import packed, received

LOOK_EVERY = 0.1


class Entry:
    """One object, its expiry and its claim."""

    def __init__(self, payload, ttl):
        self.payload, self.expires = payload, after(ttl)
        self.claim, self.claimed_until = None, 0.0


def after(seconds):
    return float("inf") if seconds is None else time.monotonic() + seconds


class DictionaryServer:
    """Serve a dictionary on a free port of the loopback, from entering to leaving the block.

    Args:
        max_bytes: What all objects may have together; None does not limit.
        port: Another port; 0 for any that is free.
    """

    def __init__(self, max_bytes=None, *, port=0):
        self.max_bytes = max_bytes
        self.entries = {}
        self.changed = threading.Condition()
        self.running = True
        self.connections = set()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.address = self.listener.getsockname()
        self.listener.settimeout(LOOK_EVERY)
        self.thread = threading.Thread(target=self.accept, name="dictionary server", daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with self.changed:
            self.running = False
            self.changed.notify_all()
        self.thread.join()
        self.listener.close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while self.running:
            with contextlib.suppress(TimeoutError):
                connection = self.listener.accept()[0]
                connection.settimeout(None)
                self.connections.add(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()
            with self.changed:
                for name in list(self.entries):
                    self.find(name)

    def serve(self, connection):
        with connection, contextlib.suppress(OSError):

            def read(most):
                if not (data := connection.recv(most)):
                    raise ConnectionError
                return data

            while self.running:
                head, body = received(read)
                answer, parts = getattr(self, f"do_{head['do']}")(head, body)
                connection.sendall(b"".join([packed({"said": answer}, parts), *parts]))
        self.connections.discard(connection)

    def find(self, name):
        """Give an entry; one that has expired is removed. The caller holds the lock."""
        entry = self.entries.get(name)
        if entry is not None and time.monotonic() >= entry.expires:
            del self.entries[name]
            return None
        return entry

    def do_put(self, head, body):
        with self.changed:
            standing = self.find(head["name"])
            if standing is not None:
                return ("same" if standing.payload == body else "other"), ()
            if self.max_bytes is not None:
                free = self.max_bytes - sum(len(entry.payload) for entry in self.entries.values())
                if len(body) > free:
                    return f"full {free}", ()
            self.entries[head["name"]] = Entry(bytes(body), head["ttl"])
            self.changed.notify_all()
        return "new", ()

    def do_get(self, head, _):
        with self.changed:
            entry = self.find(head["name"])
        return ("missing", ()) if entry is None else ("found", (entry.payload,))

    def do_range(self, head, _):
        answer, parts = self.do_get(head, _)
        return answer, tuple(part[head["offset"] : head["offset"] + head["length"]] for part in parts)

    def do_exists(self, head, _):
        return self.do_get(head, _)[0], ()

    def do_evict(self, head, _):
        with self.changed:
            self.entries.pop(head["name"], None)
        return "done", ()

    def do_renew(self, head, _):
        with self.changed:
            entry = self.find(head["name"])
            if entry is not None:
                entry.expires = after(head["ttl"])
        return ("missing" if entry is None else "found"), ()

    def do_take(self, head, _):
        with self.changed:
            entry = self.find(head["name"])
            if entry is None or (entry.claim not in {None, head["claim"]} and time.monotonic() < entry.claimed_until):
                return "missing", ()
            entry.claim, entry.claimed_until = head["claim"], after(head["lease"])
        return "found", (entry.payload,)

    def do_wait(self, head, _):
        def found():
            return [name for name in head["names"] if self.find(name) is not None]

        with self.changed:
            self.changed.wait_for(lambda: not self.running or found(), head["seconds"])
            return "found", (" ".join(found()).encode(),)

    def do_keys(self, head, _):
        with self.changed:
            names = [name for name in list(self.entries) if name.startswith(head["space"]) and self.find(name)]
        return "found", (" ".join(names).encode(),)

    def do_clear(self, head, _):
        with self.changed:
            names = [name for name in list(self.entries) if name.startswith(head["space"]) and self.find(name)]
            for name in names:
                del self.entries[name]
        return f"cleared {len(names)}", ()


if __name__ == "__main__":
    with DictionaryServer(port=int(sys.argv[1])):
        threading.Event().wait()

"""Come to the interpreter's end with open stores, while daemon threads hold whatever locks there are."""

import sys
import time
from contextlib import suppress

import daemons

import psk


class Untidy:
    """Uses its store as it goes, with the last of the interpreter."""

    def __init__(self, uri):
        self.store = psk.Store("untidy", uri, register=False)
        self.key = self.store.put([1])
        self.proxy = self.store.proxy_from_key(self.key)
        self.cycle = self

    def __del__(self, expected=psk.errors.PskError, suppress=suppress):
        with suppress(expected):  # a session has ended by now
            self.store.get(self.key)
            len(self.proxy)


daemons.start(sys.argv[1])
left_open = psk.Store("left open", f"{sys.argv[1]}-left-open", register=False)
untidy = Untidy(f"{sys.argv[1]}-untidy")
time.sleep(0.02)

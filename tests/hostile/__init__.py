"""Payloads and references written to make a reader of psk run, import, connect or allocate."""

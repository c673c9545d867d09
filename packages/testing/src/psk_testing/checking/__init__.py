"""Check the contract quickly on a live channel: the command `psk plugins check`."""

"""Objects as files of one directory: what the channels `file` and `shm` have in common."""

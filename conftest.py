"""Which checks surround every test of the workspace?"""

pytest_plugins = ["faults.temporary", "faults.leaks", "faults.ports", "faults.scale"]

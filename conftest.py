"""Which checks surround every test of the workspace?"""

pytest_plugins = ["faults.leaks", "faults.scale"]

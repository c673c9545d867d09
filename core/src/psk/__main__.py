"""How is the `psk` command run where its script is not on the path? As `python -m psk`."""

import sys

from psk.cli import main

sys.exit(main())

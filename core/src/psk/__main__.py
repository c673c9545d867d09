"""Run the program `psk` as `python -m psk`, where its script is not on the path."""

import sys

from psk.cli import main

sys.exit(main())

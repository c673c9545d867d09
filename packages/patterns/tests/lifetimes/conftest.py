"""Import path to the trials that the tests of lifetimes share."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

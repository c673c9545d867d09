"""Where are the trials that the tests of lifetimes share? Beside them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

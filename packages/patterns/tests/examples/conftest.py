"""What do the tests of examples and documents share? The machinery of the core's, which stands in another folder."""

import sys
from pathlib import Path

# For `core_tests`.
sys.path.append(str(Path(__file__).parent))

"""Where the verifier in Python is, and the folders that the tests write."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[3] / "verify"), str(Path(__file__).parent)]

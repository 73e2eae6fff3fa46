"""For tests that start child interpreters: the import path they hand on must hold from any working directory."""

import os
import sys

sys.path[:] = [os.path.abspath(path) for path in sys.path]

"""Imported first: a process that is told to stop while it still imports the rest ends at once.

The first process of a container has no default for SIGTERM, and would be killed when its time to stop is up.
"""

import signal
import sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

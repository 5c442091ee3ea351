"""Run in the server's own environment: serves until standard input ends, so never longer than whoever started it."""

import os
import sys
import threading

from local_bigquery.cli import main


def end_with_the_starter() -> None:
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_the_starter, daemon=True).start()
main()

"""`python -m admin_ui`: the console on its port."""

from admin_ui import early_stop  # noqa: F401 - before all that takes its time

# isort: split
import sys

from admin_ui.console import serve
from admin_ui.settings import CannotStart, read_settings


def main() -> int:
    """Serve until a signal comes; 2 when it cannot start."""
    try:
        serve(read_settings())
    except CannotStart as error:
        sys.stderr.write(f"The console cannot start: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

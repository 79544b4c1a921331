"""The command `gdas`: `python -m gdas --help`."""

import signal
import sys

from . import _gdas


def main() -> int:
    """Run the program with this process's arguments; its exit code is returned."""
    # The program handles Ctrl-C itself, and ends with everything saved.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _gdas.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

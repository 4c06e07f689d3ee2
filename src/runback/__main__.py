"""`python -m runback`: the command line."""

import sys

from runback.cli.command_line import main

if __name__ == "__main__":
    sys.exit(main())

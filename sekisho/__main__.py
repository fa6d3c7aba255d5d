"""`python -m sekisho` is the console command."""

import sys

from sekisho.cli import main

if __name__ == "__main__":
    sys.exit(main())

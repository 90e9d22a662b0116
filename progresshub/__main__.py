"""`python -m progresshub`."""

import sys

from progresshub.cli import main

if __name__ == "__main__":
    sys.exit(main())

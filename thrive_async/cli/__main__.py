"""The `thrive` command as `python -m thrive_async.cli`, for where the script is not on the path."""

import sys

from thrive_async.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m ganlab`: the command line."""

import sys

from ganlab.cli import main

sys.exit(main())

"""``python -m implicore`` is the command ``implicore``."""

import sys

from .cli import main

sys.exit(main())

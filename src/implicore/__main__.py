"""Run ``python -m implicore`` as the command ``implicore``."""

import sys

from .cli import main

sys.exit(main())

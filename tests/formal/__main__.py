"""Run proofs, and show that each one fails for its faulty component."""

import argparse
import sys
import tempfile
from pathlib import Path

from .proofs import PROOFS
from .symbiyosys import covers, run


def main() -> int:
    """Run the proofs; return 1 unless each one passes, and fails for the faulty component."""
    parser = argparse.ArgumentParser(prog="python -m formal", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(PROOFS)} (default: all)"
    )
    parser.add_argument("-o", "--output", type=Path, help="folder for logs and traces")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(PROOFS))
    if unknown:
        parser.error(f"there is no proof {unknown[0]}: choose from {', '.join(PROOFS)}")
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.output or Path(temporary)
        for name in arguments.names or PROOFS:
            intact = run(PROOFS[name], root / name)
            broken = run(PROOFS[name], root / f"{name}_broken", broken=True)
            expected = intact == "PASS" and broken == "FAIL"
            wrong += not expected
            mark = "" if expected else "  <-- WRONG"
            print(
                f"{name:21} {covers(PROOFS[name]):30} {intact}, broken: {broken}{mark}", flush=True
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

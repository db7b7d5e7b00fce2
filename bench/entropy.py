"""Size of program files relative to the entropy of their integers.

The zero-order entropy of a list of integers is the size that an ideal coder reaches if the decoder
already knows how often each value occurs. A file passes if its size is at most the entropy of its
weights plus 5 % and 2000 bytes. ``implicore compile`` writes the programs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from implicore.atomic import write_json
from implicore.errors import BadInput
from implicore.program import Program

SHARE, BYTES = 1.05, 2000


def entropy_bytes(values: np.ndarray) -> float:
    """Compute the zero-order entropy of an array of integers, in bytes."""
    counts = np.unique(values, return_counts=True)[1]
    return float(counts @ np.log2(counts.sum() / counts)) / 8


def account(path) -> dict:
    """Measure one program file; return the results by name."""
    program = Program.load(path)
    weights = [layer.weights.ravel() for layer in program.layers]
    pooled = entropy_bytes(np.concatenate(weights))
    others = [program.frequencies.ravel()]
    for name in ("multipliers", "shifts", "offsets"):
        others.append(np.concatenate([getattr(layer, name) for layer in program.layers]))
    return {
        "file": Path(path).name,
        "formats": str(program.formats),
        "weights": program.shape.weights,
        "bytes": Path(path).stat().st_size,
        "weights_entropy_bytes": pooled,
        "allowed_bytes": SHARE * pooled + BYTES,
        "all_integers_entropy_bytes": pooled + sum(map(entropy_bytes, others)),
        "bits_per_weight": [8 * entropy_bytes(layer) / layer.size for layer in weights],
    }


def main(arguments: list[str] | None = None) -> int:
    """Print a Markdown table; return 1 if a file is too large, 2 on bad input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="+", metavar="PROGRAM", help="program file (.inr)")
    parser.add_argument("--json", metavar="FILE", help="write the results to a JSON file")
    options = parser.parse_args(arguments)
    print("| Program | Weights | File | Entropy of weights | of all integers | Allowed | Bits |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    try:
        for path in options.programs:
            row = account(path)
            rows.append(row)
            bits = row["bits_per_weight"]
            print(
                f"| {row['file']} | {row['weights']} | {row['bytes']} | "
                f"{row['weights_entropy_bytes']:.0f} | {row['all_integers_entropy_bytes']:.0f} | "
                f"{row['allowed_bytes']:.0f} | {min(bits):.2f} - {max(bits):.2f} |"
            )
        if options.json:
            write_json(options.json, {"programs": rows})
    except BadInput as error:
        print(f"entropy: {error}", file=sys.stderr)
        return 2
    return int(any(row["bytes"] > row["allowed_bytes"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())

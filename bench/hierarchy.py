"""Area of an accelerator that is mapped module by module, and flattened.

    python bench/hierarchy.py [--config tiny] [--target ihp-sg13g2]

Both use one recipe that inserts no buffers, so that only the hierarchy differs: abc's buffering
adds a third to the area of a flat array, but only a few per cent to that of single modules.
"""

import argparse

from implicore.config_file import read_config
from implicore.synth.asic import flat_area
from implicore.synth.mapping import Recipe
from implicore.synth.target import find

RECIPE = Recipe("unbuffered", "", "strash; dch; map -B 0.9 -a; topo")


def main(argv=None) -> None:
    """Print both areas and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="tiny")
    parser.add_argument("--target", default="ihp-sg13g2")
    arguments = parser.parse_args(argv)
    modular, flat = flat_area(read_config(arguments.config), find(arguments.target), RECIPE)
    print(f"module by module {modular:,.0f} um2, flattened {flat:,.0f} um2")
    print(f"difference {modular / flat - 1:+.2%}")


if __name__ == "__main__":
    main()

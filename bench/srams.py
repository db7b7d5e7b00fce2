"""Fit the SRAM model, which processes without macros use, to the macros of a process kit.

    PDK_ROOT=... python bench/srams.py [--target ihp-sg13g2]

The output has the coefficients of ``implicore.synth.macros``; update them when the kit changes.
"""

import argparse

import numpy as np

from implicore.synth.macros import macros_of
from implicore.synth.target import find


def fit(name: str, terms: list, values: list) -> str:
    """Minimize the squared relative error; return coefficients and largest residual as text."""
    terms, values = np.array(terms, float), np.array(values, float)
    fitted, *_ = np.linalg.lstsq(terms / values[:, None], np.ones(len(values)), rcond=None)
    worst = np.abs(terms @ fitted / values - 1).max()
    return f"  {name:9} {', '.join(f'{number:.5g}' for number in fitted)}   within {worst:.1%}"


def main(argv=None) -> None:
    """Fit one-port and two-port macros separately."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="ihp-sg13g2")
    all_macros = macros_of(find(parser.parse_args(argv).target))
    for ports in (1, 2):
        macros = [macro for macro in all_macros if macro.ports == ports]
        sizes = [[1, macro.depth, macro.width, macro.depth * macro.width] for macro in macros]
        speeds = [[1, np.log2(macro.depth), macro.width, macro.depth] for macro in macros]
        leakage = [1e6 * macro.leakage_mw for macro in macros]
        print(f"{ports} port(s), {len(macros)} macros")
        print(fit("area", sizes, [macro.area_um2 for macro in macros]))
        print(fit("read", sizes, [macro.energy_pj(write=False) for macro in macros]))
        print(fit("write", sizes, [macro.energy_pj(write=True) for macro in macros]))
        print(fit("access", speeds, [macro.access_ns for macro in macros]))
        print(fit("leakage", [size[3:] for size in sizes], leakage))


if __name__ == "__main__":
    main()

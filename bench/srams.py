"""Fit the SRAM model for processes without macros to the macros of a kit.

    PDK_ROOT=... python bench/srams.py [--target ihp-sg13g2]

Prints the coefficients in ``implicore.synth.macros``, which must be updated when the kit changes.
"""

import argparse

import numpy as np

from implicore.synth.macros import macros_of
from implicore.synth.target import find


def fit(what: str, terms: list, values: list) -> str:
    """Minimize the squared relative error; return coefficients and greatest residual as text."""
    terms, values = np.array(terms, float), np.array(values, float)
    found, *_ = np.linalg.lstsq(terms / values[:, None], np.ones(len(values)), rcond=None)
    worst = np.abs(terms @ found / values - 1).max()
    return f"  {what:9} {', '.join(f'{number:.5g}' for number in found)}   within {worst:.1%}"


def main(argv=None) -> None:
    """Fit one-port and two-port macros separately."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="ihp-sg13g2")
    everything = macros_of(find(parser.parse_args(argv).target))
    for ports in (1, 2):
        macros = [macro for macro in everything if macro.ports == ports]
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

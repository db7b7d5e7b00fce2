"""The command line, with one module per subcommand.

The module ``cli/NAME.py`` implements ``implicore NAME`` with three attributes:

``HELP``
    One line for the list of subcommands.
``add_arguments(parser)``
    Declare the options.
``run(options)``
    Carry out the subcommand and return its exit code and its metrics, a dictionary.

``run`` only parses, calls the other packages and prints: everything that it computes is available
from Python. All imports of other packages are inside functions, so ``--help`` needs neither numpy
nor torch.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from ..errors import BadInput
from .renamed import with_current_names

SUBCOMMANDS = (
    *("fit", "compile", "inspect", "render", "generate", "simulate"),
    *("synth", "sweep", "report", "demo"),
)
"""The subcommands in the order of the flow."""

EPILOG = (
    "Exit codes: 0 success; 1 the command ran but the result is negative, such as a mismatch; "
    "2 invalid input or a missing tool."
)


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand.

    Parameters
    ----------
    arguments : list of str, optional
        The words after ``implicore``; by default, the arguments of this process.

    Returns
    -------
    int
        0 for success, 1 for a negative result, 2 for invalid input or a missing tool, 130 after
        an interrupt. For 2 and 130, one line on stderr says why.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = make_parser().parse_args(with_current_names(arguments))
    from ..atomic import require_writable, write_json

    try:
        for path in (getattr(options, "output", None), options.json):
            if path:
                require_writable(path)
        code, metrics = execute(options)
        if options.json:
            write_json(options.json, metrics)
    except BadInput as error:
        print(f"implicore {options.subcommand}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"implicore {options.subcommand}: interrupted", file=sys.stderr)
        return 130
    return code


def execute(options: argparse.Namespace) -> tuple[int, dict]:
    """Run the subcommand of parsed options with numpy's BLAS limited to one thread.

    The matrix products are small: a second thread gains little on an idle machine and costs several
    times as much on a busy one.

    Raises
    ------
    BadInput
        An option or a file cannot be used, or a tool is missing.
    """
    import numpy  # noqa: F401 - only libraries that are loaded can be limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        return options.run(options)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="implicore",
        description="Fit a small neural network to a medical image, compile it to integers, and "
        "generate the hardware that decodes it.",
        epilog=EPILOG,
    )
    subparsers = parser.add_subparsers(title="subcommands", metavar="SUBCOMMAND", required=True)
    for name in SUBCOMMANDS:
        module = import_module(f".{name}", __package__)
        subparser = subparsers.add_parser(
            name,
            help=module.HELP,
            description=f"{module.HELP[0].upper()}{module.HELP[1:]}.",
            epilog=EPILOG,
            allow_abbrev=False,
        )
        module.add_arguments(subparser)
        subparser.add_argument("--json", metavar="FILE", help="write the metrics to a JSON file")
        subparser.add_argument(
            "--quiet", action="store_true", help="print no report and no progress bar"
        )
        subparser.set_defaults(subcommand=name, run=module.run)
    return parser

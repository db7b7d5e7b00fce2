"""Checks that optional Python packages are installed, before any work begins."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import BadInput


def require(command: str, extra: str, *packages: str) -> None:
    """Raise BadInput unless all packages are installed.

    Parameters
    ----------
    command : str
        The subcommand that needs them, for the message.
    extra : str
        The extra of implicore that installs them.
    packages : str
        Import names, dotted if a package shares its top-level name with others.
    """
    missing = [package for package in packages if not _installed(package)]
    if missing:
        raise BadInput(
            f"{command} needs {', '.join(missing)}: "
            f"install it with pip install 'implicore[{extra}]'."
        )


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the parent of a dotted name
        return False

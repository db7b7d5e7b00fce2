"""Option names of version 0.1, accepted with a warning in version 0.2."""

from __future__ import annotations

import sys

RENAMED = {
    "render": {"--reference": "--image"},
    "simulate": {"--source": "--image", "--planes": "--pictures"},
    "generate": {"--folder": "--output"},
    "synth": {"--folder": "--output"},
    "sweep": {"--folder": "--output"},
    "demo": {"--folder": "--output"},
}
"""New name of each old option, by subcommand."""

REMOVAL = "0.3"
"""Version from which the old names are errors."""


def with_current_names(arguments: list[str]) -> list[str]:
    """Replace old option names, in the forms ``--old VALUE`` and ``--old=VALUE``.

    Each replacement prints one line on stderr. This happens before parsing: old names do not appear
    in ``--help``, and they satisfy required or exclusive options as the new names do.

    Parameters
    ----------
    arguments : list of str
        The words after ``implicore``, the subcommand first.
    """
    subcommand, *words = arguments or [""]
    names = RENAMED.get(subcommand, {})
    options = words.index("--") if "--" in words else len(words)
    for number, word in enumerate(words[:options]):
        old, equals, value = word.partition("=")
        if old in names:
            words[number] = names[old] + equals + value
            print(
                f"implicore {subcommand}: {old} is now {names[old]}; the old name will be removed "
                f"in version {REMOVAL}.",
                file=sys.stderr,
            )
    return arguments[:1] + words

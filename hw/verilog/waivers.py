"""The lint warnings that the generated Verilog causes, and why they are harmless."""

WAIVERS = {
    "DECLFILENAME": "all modules are in one file",
    "INITIALDLY": "a trigger must fire after every process has started to wait for it",
    "PROCASSINIT": "registers have a power-up value, and some also have a reset",
    "CASEINCOMPLETE": "a value that a case does not list keeps its earlier assignment",
    "WIDTHEXPAND": "Verilog's extension of the narrower operand is intended",
    "WIDTHTRUNC": "`!` of a vector is intended: all bits are zero",
    "UNUSEDSIGNAL": "an operator also produces carries and other bits that are not used",
}
"""Verilator's rules, each with the reason for waiving it."""


def waiver_file() -> str:
    """Return ``WAIVERS`` as a Verilator configuration file."""
    lines = ["`verilator_config"]
    for rule, reason in WAIVERS.items():
        lines += [f"// {reason}", f"lint_off -rule {rule}"]
    return "\n".join(lines) + "\n"

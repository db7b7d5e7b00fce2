"""The lint warnings that the generated Verilog gives rise to, and why they are harmless."""

WAIVERS = {
    "DECLFILENAME": "all modules stand in one file",
    "INITIALDLY": "a trigger must come after every process has begun to watch it",
    "PROCASSINIT": "registers have a power-up value as well as, some of them, a reset",
    "CASEINCOMPLETE": "what a case does not list keeps the value assigned before it",
    "WIDTHEXPAND": "Verilog's own extension of the narrower operand is what is meant",
    "WIDTHTRUNC": "`!` of a vector is meant: all bits zero",
    "UNUSEDSIGNAL": "carries and other bits that an operator yields and nobody needs",
}
"""Verilator's rules, each with the reason for waiving it."""


def waiver_file() -> str:
    """Return ``WAIVERS`` as a Verilator configuration file."""
    lines = ["`verilator_config"]
    for rule, reason in WAIVERS.items():
        lines += [f"// {reason}", f"lint_off -rule {rule}"]
    return "\n".join(lines) + "\n"

"""Synthesis: area, clock and energy for ASICs and FPGAs."""

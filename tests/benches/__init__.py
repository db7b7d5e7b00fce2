"""Benches of single components, run by those who work on the hardware.

Each bench runs unchanged on the component in Amaranth's simulator (``in_amaranth``) and on its
module of the generated Verilog under cocotb (``in_cocotb``, built and started by ``verilog``). So
both compare with the same reference models: those of ``reference`` and of ``implicore`` itself.
"""

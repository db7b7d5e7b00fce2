"""Co-simulation: the generated Verilog in three simulators, against the golden model."""

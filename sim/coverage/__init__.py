"""Coverage of the generated Verilog: lines, branches, toggled bits and functional points."""

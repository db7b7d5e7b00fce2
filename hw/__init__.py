"""The accelerator in Amaranth: every component, and the Verilog written from it."""

"""Design-space exploration: predict accelerators, sweep over them, select one."""

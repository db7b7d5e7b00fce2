"""Design-space exploration: predicting accelerators, sweeping over them, choosing one."""

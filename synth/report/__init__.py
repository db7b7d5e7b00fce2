"""Pages to look at: of a sweep, and of the demo; each one file that needs no network."""

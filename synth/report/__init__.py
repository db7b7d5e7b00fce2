"""Report pages of a sweep and of the demo, each a single file that works offline."""

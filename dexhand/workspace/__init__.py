"""Run folders, the links to them, and what each run records."""

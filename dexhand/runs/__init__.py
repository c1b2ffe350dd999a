"""What the workspace holds, and pinning it: ``python -m dexhand.runs``. Needs no torch."""

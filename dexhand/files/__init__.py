"""Files that are whole or absent, locks on them, their digests, and output that never fails."""

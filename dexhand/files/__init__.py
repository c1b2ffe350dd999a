"""Atomic writes, locks, digests, folders, and output that never raises."""

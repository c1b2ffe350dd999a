"""Atomic writes, locks, digests, and output that never raises."""

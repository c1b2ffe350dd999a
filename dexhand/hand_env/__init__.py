"""Environments of a hand: the contracts of simulator and task, and ``TaskEnv``, which joins them."""

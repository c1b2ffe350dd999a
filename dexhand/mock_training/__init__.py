"""A training on fake data with the real loop, checkpoints and sinks, checked at every step."""

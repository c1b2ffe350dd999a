"""The contracts, the training and evaluation loops, and ``TaskEnv``."""

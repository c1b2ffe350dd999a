"""BaseTask: keep moving without touching the ground."""

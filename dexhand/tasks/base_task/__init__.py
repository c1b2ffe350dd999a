"""BaseTask: move about without touching the ground."""

"""Training one policy in several processes."""

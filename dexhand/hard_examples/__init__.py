"""Keeping, ranking and reporting the hardest samples and episodes of a training."""

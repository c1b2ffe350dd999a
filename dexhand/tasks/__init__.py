"""Tasks: what is asked of the hand."""

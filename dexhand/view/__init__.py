"""Watching environments: whatever is ``Drawable``, on any simulator, in tests and in trainings."""

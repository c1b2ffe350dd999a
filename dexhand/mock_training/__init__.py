"""Trains on mock components with the real machinery, and checks at every step that it does what it should."""

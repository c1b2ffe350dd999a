"""Training on fake data with the real machinery, checked at every step."""

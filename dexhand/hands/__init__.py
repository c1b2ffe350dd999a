"""Hands, described as data."""

"""Conformance suites, importable by users."""

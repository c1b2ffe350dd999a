"""Example of a separate project that is tested with dexhand's suites."""

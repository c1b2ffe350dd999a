"""A project of somebody else, who tests with dexhand's suites."""

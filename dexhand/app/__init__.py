"""The program behind ``dexhand train`` and ``dexhand test``: from a command line to an exit code."""

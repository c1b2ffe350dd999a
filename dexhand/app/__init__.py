"""The program behind ``scripts/train.py``: from a command line to an exit code."""

"""Make ``python -m dexhand.app ...`` equivalent to ``python scripts/train.py ...``."""

from dexhand.app.main import run_as_program

if __name__ == "__main__":
    run_as_program()

# Made by generate_isaacgym.py from isaacgym_api.json; do not edit.

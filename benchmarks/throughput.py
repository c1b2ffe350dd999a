#!/usr/bin/env python3
"""Environment steps per second, side by side in one run: the engine alone, our simulator, the whole environment, PPO.

Every row steps the same scene with the same control targets from the same start. Rows take turns, so that a machine
whose speed drifts slows all of them alike; medians and ratios to the first row are printed. Quote the ratios.
"""

import argparse
import sys

from rich.console import Console
from rows import benchmark

from dexhand.config.compose import compose


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--backends", default="auto", help="comma-separated simulators, such as mujoco,mujoco_warp,isaacgym,mock"
    )
    parser.add_argument("--num-envs", type=int, default=256, help="parallel environments (default %(default)s)")
    parser.add_argument("--steps", type=int, default=64, help="control steps a round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default %(default)s)")
    parser.add_argument("overrides", nargs="*", help="configuration keys, as for scripts/train.py: task=BaseTask ...")
    arguments = parser.parse_args()

    backends = arguments.backends.split(",")
    common = [f"env.numEnvs={arguments.num_envs}", *arguments.overrides]
    configs = [compose([f"sim.backend={backend}", *common]) for backend in backends]

    for config in configs:
        benchmark(config, arguments.steps, arguments.rounds, Console(highlight=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())

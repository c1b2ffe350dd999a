"""Play a checkpoint of task=Ant, or another environment of Gymnasium, in the environment that gymnasium.make makes.

    python examples/play_in_gymnasium.py Ant-v5 runs/latest_train/nn/latest.pth --episodes 3

The returns are those of a test of the same policy: dexhand test checkpoint=latest
"""

import argparse
import sys
from pathlib import Path

import gymnasium
import numpy as np

import dexhand
from dexhand.adapters.policy import ArrayPolicy


def play(env: gymnasium.Env, policy: ArrayPolicy, seed: int) -> float:
    """Play one episode and return its return."""
    observation, _ = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(policy.act(observation.ravel()))
        total, over = total + float(reward), terminated or truncated
    return total


def main() -> int:
    """Play and print the returns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="its name in Gymnasium")
    parser.add_argument("checkpoint", type=Path, help="a .pth file")
    parser.add_argument("--episodes", type=int, default=1)
    arguments = parser.parse_args()
    policy = dexhand.load_policy(arguments.checkpoint)
    # policies act from -1 to 1
    env = gymnasium.wrappers.RescaleAction(gymnasium.make(arguments.environment), np.float32(-1.0), np.float32(1.0))
    for seed in range(arguments.episodes):
        print(f"episode {seed + 1}: return {play(env, policy, seed):.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

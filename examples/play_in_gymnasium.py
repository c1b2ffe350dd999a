"""Play a checkpoint of task=Ant, or another environment of Gymnasium, in the environment that gymnasium.make makes.

    python examples/play_in_gymnasium.py Ant-v5 runs/latest_train/nn/latest.pth --episodes 3

The returns are those of a test of the same policy: python scripts/train.py test=true checkpoint=latest
"""

import argparse
import sys
from pathlib import Path

import gymnasium
import numpy as np
import torch

from dexhand.checkpoints.store import load_checkpoint
from dexhand.rl.policy import RlGamesPolicy


def play(env: gymnasium.Env, policy: RlGamesPolicy, seed: int) -> float:
    """Play one episode and return its return."""
    observation, _ = env.reset(seed=seed)
    total, over = 0.0, False
    while not over:
        action = policy.act(torch.tensor(observation, dtype=torch.float32).reshape(1, -1))[0]
        observation, reward, terminated, truncated, _ = env.step(action.numpy())
        total, over = total + float(reward), terminated or truncated
    return total


def main() -> int:
    """Play and print the returns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environment", help="its name in Gymnasium")
    parser.add_argument("checkpoint", type=Path, help="the .pth file of a training with train.algorithm=rl_games")
    parser.add_argument("--episodes", type=int, default=1)
    arguments = parser.parse_args()
    policy = RlGamesPolicy.from_state(load_checkpoint(arguments.checkpoint), torch.device("cpu"))
    # policies act from -1 to 1
    env = gymnasium.wrappers.RescaleAction(gymnasium.make(arguments.environment), np.float32(-1.0), np.float32(1.0))
    for seed in range(arguments.episodes):
        print(f"episode {seed + 1}: return {play(env, policy, seed):.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Move the hand with scripted actions and save a strip of pictures; no learning is involved."""

import argparse
import sys

import numpy as np
import torch
from PIL import Image

import dexhand
from dexhand.core.interfaces import VecEnv

MOVES = (
    {"fingers": 0.6},  # close
    {"roll": 0.7, "fingers": 0.4},  # turn the wrist
    {"roll": -0.3, "fingers": -0.8},  # open again
)
STEPS = 70


def action(env: VecEnv, move: dict) -> torch.Tensor:
    """Action of the one environment, shape (1, A): speeds of the wrist and finger targets, 1 = maximum."""
    actions = torch.zeros(1, env.single_action_space.shape[0])
    actions[0, 3] = move.get("roll", 0.0)
    actions[0, 6:] = move.get("fingers", 0.0)
    return actions


def main() -> None:
    """Play the moves; draw a picture before the first and after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="hand.png", help="where the picture goes (default %(default)s)")
    parser.add_argument("overrides", nargs="*", help="configuration keys, such as env.hand=dexhand021_left")
    arguments = parser.parse_args()

    env = dexhand.make("BaseTask", *arguments.overrides, num_envs=1).vec_env
    env.reset(seed=0)
    pictures = [env.render(width=320, height=280)]
    for move in MOVES:
        for _ in range(STEPS):
            env.step(action(env, move))
        pictures.append(env.render(width=320, height=280))
    env.close()
    Image.fromarray(np.concatenate(pictures, axis=1)).save(arguments.output)
    print(f"Wrote {arguments.output}")


if __name__ == "__main__":
    sys.exit(main())

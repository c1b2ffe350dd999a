"""Fake training data with a realistic structure: images, tokenised prompts, masks and robot states."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dexhand.mock.tokenizer import DIRECTIONS, LARGEST_DISTANCE, PADDING, MockTokenizer

STATE_SIZE = 26
"""Joints of the hand."""
PROMPT_LENGTH = 8
_BITS = 16
"""An image encodes its sample's key in 4 x 4 fields."""
_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class MockBatch:
    """One training batch of B samples."""

    keys: tuple[int, ...]
    """Keys of the samples in the dataset. Length B."""
    images: Tensor
    """Camera images, uint8, RGB. Shape (B, H, W, 3)."""
    tokens: Tensor
    """The prompt, padded with ``tokenizer.PADDING``, int64. Shape (B, PROMPT_LENGTH)."""
    token_mask: Tensor
    """Where ``tokens`` is not padding, bool. Shape (B, PROMPT_LENGTH)."""
    state: Tensor
    """Joint positions, scaled to [-1, 1) between their limits. Shape (B, STATE_SIZE)."""


class MockDataset:
    """An endless, ordered repetition of ``size`` samples, each time with a different robot state.

    Everything is a function of the seed and the position in this sequence, so that the position is the only state, and
    values can be traced back: ``key_of`` decodes a sample's key from its image. The first joint of consecutive states
    covers [-1, 1) evenly (a golden-ratio sequence), which ``MockLoss`` relies on.
    """

    def __init__(self, size: int = 600, *, image_size: int = 128, seed: int = 0) -> None:
        """``image_size``: height and width of an image, pixels. Raises ``ValueError`` for invalid sizes."""
        if not 1 <= size <= 2**_BITS:
            raise ValueError(f"size={size} must be between 1 and {2**_BITS}")
        if image_size < 4 or image_size % 4:
            raise ValueError(f"image_size={image_size} must be a multiple of 4")
        self.size = size
        self.image_size = image_size
        self.seed = seed
        self.tokenizer = MockTokenizer()
        generator = torch.Generator().manual_seed(seed)
        self._prompts = _draw_prompts(size, generator)
        self._tokens = _padded([self.tokenizer.encode(prompt) for prompt in self._prompts])
        # joint positions of each sample, before the shift that changes with the position
        self._joints = torch.rand(size, STATE_SIZE, generator=generator, dtype=torch.float64)

    def batch(self, position: int, size: int) -> MockBatch:
        """Return the ``size`` samples from ``position`` on, on the CPU."""
        keys = self.keys(position, size)
        tokens = self._tokens[list(keys)]
        return MockBatch(
            keys=keys,
            images=self._images(torch.tensor(keys)),
            tokens=tokens,
            token_mask=tokens != PADDING,
            state=self.state(position, size),
        )

    def keys(self, position: int, size: int) -> tuple[int, ...]:
        """Return ``MockBatch.keys`` alone."""
        return tuple(place % self.size for place in range(position, position + size))

    def state(self, position: int, size: int) -> Tensor:
        """Return ``MockBatch.state`` alone."""
        places = torch.arange(position, position + size)
        turns = places.to(torch.float64)[:, None] * _GOLDEN_RATIO
        joints = self._joints[places % self.size] + turns
        joints[:, 0] = turns[:, 0] + self.seed * _GOLDEN_RATIO / 7
        return (joints.remainder(1.0) * 2.0 - 1.0).to(torch.float32)

    def prompt(self, key: int) -> str:
        """Return the prompt of a sample as text."""
        return self._prompts[key]

    def key_of(self, image: Tensor) -> int:
        """Decode the key of a sample from its image (h, w, 3), rescaled to any size of at least 4 x 4 pixels."""
        height, width = image.shape[:2]
        rows = [(2 * row + 1) * height // 8 for row in range(4)]
        columns = [(2 * column + 1) * width // 8 for column in range(4)]
        fields = [bool(image[row, column, 0] > 127) for row in rows for column in columns]
        return sum(1 << bit for bit, field in enumerate(fields) if field)

    def _images(self, keys: Tensor) -> Tensor:
        """Draw images: each bit of a key is a bright or dark field; the blue channel holds the seed."""
        bits = (keys[:, None] >> torch.arange(_BITS)) & 1
        red = (40 + 175 * bits).to(torch.uint8)
        others = torch.stack((red, 255 - red, torch.full_like(red, self.seed % 256)), dim=-1).reshape(-1, 4, 4, 3)
        side = self.image_size // 4
        return others.repeat_interleave(side, dim=1).repeat_interleave(side, dim=2)


def _draw_prompts(size: int, generator: torch.Generator) -> list[str]:
    directions = torch.randint(len(DIRECTIONS), (size, 2), generator=generator).tolist()
    distances = torch.randint(1, LARGEST_DISTANCE + 1, (size, 2), generator=generator).tolist()
    return [
        " and ".join(f"move {DIRECTIONS[direction]} {distance}cm" for direction, distance in zip(*sample))
        for sample in zip(directions, distances)
    ]


def _padded(prompts: list[list[int]]) -> Tensor:
    return torch.tensor([prompt + [PADDING] * (PROMPT_LENGTH - len(prompt)) for prompt in prompts])

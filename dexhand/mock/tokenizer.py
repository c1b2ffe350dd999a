"""A tokenizer for the words of action descriptions."""

from collections.abc import Iterable

DIRECTIONS = ("left", "right", "forward", "backward", "up", "down")
LARGEST_DISTANCE = 30
"""Centimetres."""

PADDING = 0
UNKNOWN = 1
_WORDS = (
    *("<pad>", "<unknown>", "move", "and"),
    *DIRECTIONS,
    *(f"{distance}cm" for distance in range(1, LARGEST_DISTANCE + 1)),
)
_NUMBERS = {word: number for number, word in enumerate(_WORDS)}


class MockTokenizer:
    """One token per word of a small fixed vocabulary: ``move right 10cm and move forward 5cm`` has seven tokens."""

    vocabulary_size = len(_WORDS)

    def encode(self, text: str) -> list[int]:
        """Convert ``text`` to tokens, deterministically; words outside the vocabulary become ``UNKNOWN``."""
        return [_NUMBERS.get(word, UNKNOWN) for word in text.split()]

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert ``tokens`` to text without padding; the inverse of ``encode`` for known words.

        Raises ``ValueError`` for an invalid token.
        """
        words = []
        for token in tokens:
            if not 0 <= token < len(_WORDS):
                raise ValueError(f"{token} is not a token. Tokens are 0 to {len(_WORDS) - 1}")
            if token != PADDING:
                words.append(_WORDS[token])
        return " ".join(words)

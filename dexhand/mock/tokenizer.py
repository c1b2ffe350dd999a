"""Words of action descriptions as numbers, and back."""

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
    """One token a word of a small fixed vocabulary: ``move right 10cm and move forward 5cm`` is seven tokens."""

    vocabulary_size = len(_WORDS)

    def encode(self, text: str) -> list[int]:
        """The tokens of ``text``, the same every time; a word that is not in the vocabulary becomes ``UNKNOWN``."""
        return [_NUMBERS.get(word, UNKNOWN) for word in text.split()]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of ``tokens``, padding left out: what ``encode`` was given, if it knew all the words.

        Raises ``ValueError`` for a number that is no token.
        """
        words = []
        for token in tokens:
            if not 0 <= token < len(_WORDS):
                raise ValueError(f"{token} is no token. Tokens are 0 to {len(_WORDS) - 1}")
            if token != PADDING:
                words.append(_WORDS[token])
        return " ".join(words)

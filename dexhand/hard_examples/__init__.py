"""The hardest samples and episodes of a training: kept, ranked, reported."""

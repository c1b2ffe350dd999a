"""Configuration: schema, Hydra tree, aliases and validation."""

"""The rl_games adapter."""

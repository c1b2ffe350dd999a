"""Implementations of ``dexhand.core.interfaces.Simulator`` and what they share."""

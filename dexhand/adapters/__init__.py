"""Environments and policies as other libraries know them."""

"""Sinks: console, TensorBoard, Weights & Biases and files."""

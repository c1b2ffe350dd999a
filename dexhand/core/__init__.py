"""The contracts of environments, learners and policies, and the training and evaluation loops."""

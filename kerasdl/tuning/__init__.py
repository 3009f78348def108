"""Hyperparameter search: trials of a recipe, one after the other or side by side, and what they tell."""

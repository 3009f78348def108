"""Recipes: one call each from data to a trained, diagnosed, exported model. Importing one costs no Keras."""

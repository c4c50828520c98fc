"""`stripwatch-train`: the command line of the training package."""

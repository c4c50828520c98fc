"""A run on disk: its recipe, its folder, its models."""

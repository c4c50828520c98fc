"""Labelled frames: what they are, where they are read from, how they are divided."""

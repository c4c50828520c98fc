"""How good a model is on labelled frames, and which thresholds suit it."""

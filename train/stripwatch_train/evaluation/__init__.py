"""Accuracy of a model on labelled frames, and thresholds that suit it."""

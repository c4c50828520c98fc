"""A synthetic strip of rolled steel with known defects: for the demo, training and tests."""

from stripwatch.synthetic.strip import CLASSES, SyntheticFrame, SyntheticStrip

__all__ = ["CLASSES", "SyntheticFrame", "SyntheticStrip"]

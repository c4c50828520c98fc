"""A synthetic strip of rolled steel with known defects: for the demo, training and tests."""

from stripwatch.synthetic.defects import Scratch, straight_scratch
from stripwatch.synthetic.roll_marks import RollMark
from stripwatch.synthetic.strip import CLASSES, SyntheticFrame, SyntheticStrip

__all__ = [
    "CLASSES",
    "RollMark",
    "Scratch",
    "SyntheticFrame",
    "SyntheticStrip",
    "straight_scratch",
]

"""Synthetic strip that varies as real strip does: surface, light, marks, edges and camera."""

from stripwatch_train.data.varied.frames import VariedStrip

__all__ = ["VariedStrip"]

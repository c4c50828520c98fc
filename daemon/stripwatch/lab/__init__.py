"""Measurements, comparisons and the demo; nothing of the daemon imports it."""

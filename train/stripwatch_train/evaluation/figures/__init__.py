"""Plots and the page of an evaluation."""

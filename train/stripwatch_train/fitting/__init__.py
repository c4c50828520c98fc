"""From a recipe and labelled frames to exported models."""

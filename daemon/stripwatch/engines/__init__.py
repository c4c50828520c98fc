"""Engines: what runs the inspection graph on a slot's frames."""

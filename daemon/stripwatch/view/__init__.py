"""Events for reading: lines of text, and overlays."""

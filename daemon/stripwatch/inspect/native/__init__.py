"""Findings of a frame by one native function, without the interpreter's lock (ADR 35)."""

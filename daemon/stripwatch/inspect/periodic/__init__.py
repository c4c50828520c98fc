"""Periodic defects: the marks that a roll with a flaw prints at each turn."""

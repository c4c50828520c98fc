"""Labelled frames: their types, their readers and writers, their division into folds."""

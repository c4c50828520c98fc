"""Recordings: the frames that cameras send, in MCAP files."""

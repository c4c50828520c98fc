"""A line-scan camera of GigE Vision in software, for tests and for trying without hardware."""

"""The command engine-build."""

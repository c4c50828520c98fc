"""Metrics and health over HTTP: read from what the threads count, at the time of a request."""

"""Outputs of the daemon: numbered events over ZeroMQ."""

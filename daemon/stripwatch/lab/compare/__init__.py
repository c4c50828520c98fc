"""Running known frames through a daemon, and comparing its events with a file."""

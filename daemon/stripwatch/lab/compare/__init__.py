"""Running a whole line over known frames, and comparing its events with a file."""

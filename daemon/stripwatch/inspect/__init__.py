"""From masks to events: pure functions and state, without sockets, threads or clock."""

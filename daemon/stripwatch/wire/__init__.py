"""The wire formats: messages as bytes in, typed values out. No sockets, threads or clock."""

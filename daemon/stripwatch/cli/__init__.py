"""The `stripwatch` command: one module per subcommand."""

"""The operator's page: a Starlette application beside the daemon, and its static files."""

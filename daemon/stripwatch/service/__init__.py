"""The process and its machine: signals, logs, exit codes, the service manager."""

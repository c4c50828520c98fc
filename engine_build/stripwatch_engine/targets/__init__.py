"""The libraries that engines are built for: one module each, all with the interface `Target`."""

"""config.toml as frozen structs, read and checked."""

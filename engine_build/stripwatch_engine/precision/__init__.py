"""Which parts of a graph compute in float16 or int8."""

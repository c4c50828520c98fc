"""The parts of a model that compute in float16 or int8."""

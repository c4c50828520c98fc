"""The three threads of the pipeline, and what they hand to each other."""

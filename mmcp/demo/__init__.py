"""The built-in sample: a small procedural data set, so no download."""

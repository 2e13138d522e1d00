"""Transforms: a results dict in, a results dict out."""

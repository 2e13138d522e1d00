"""Data sets, wrappers and transforms."""

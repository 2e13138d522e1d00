"""The version of mmcp."""

__version__ = '0.1.0'

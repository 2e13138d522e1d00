"""Parts of convert_checkpoint.py."""

"""Reading checkpoints safely and strictly."""

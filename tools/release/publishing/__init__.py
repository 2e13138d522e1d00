"""Parts of publish_model.py."""

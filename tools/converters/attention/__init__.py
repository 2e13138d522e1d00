"""What ``extract_attention_masks.py`` is made of."""

"""Parts of the study of what CP2's weights are worth in fine-tuning."""

"""The papers' mathematics as pure functions of numpy arrays and tensors."""

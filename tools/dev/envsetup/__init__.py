"""The parts of ``setup_env.py``: pure standard library, no third parties."""

"""What ``benchmarks/copy_paste.py`` measures, and how."""

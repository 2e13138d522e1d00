"""What ``benchmarks/cp2_input.py`` measures, and how it reports it."""

"""What ``benchmarks/cp2_step.py`` measures, and how it reports it."""

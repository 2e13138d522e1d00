"""Rewriting of MMDetection configs to mmcp's fast path."""

"""Offline self-training: a teacher's predictions become a data set."""

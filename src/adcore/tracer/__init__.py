"""Traced arrays and scalars: what records a program while f runs."""

"""Compiled loops, one build per variant."""

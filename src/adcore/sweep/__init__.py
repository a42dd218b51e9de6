"""Sweeps: the executor and the engine."""

"""Benchmarks: problems in plain NumPy, and adcore against its peers on them."""

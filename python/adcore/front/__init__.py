"""NumPy's functions on traced values, each composed from the tracer's primitives."""

"""Passes: program to program, one file each."""

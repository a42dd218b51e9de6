"""Transforms: functions of functions."""

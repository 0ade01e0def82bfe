"""Whole architectures, and a sweep that shows how well the library does on them: `python -m tests.zoo`."""

"""Tests of the graph rewrites, one file for each pass."""

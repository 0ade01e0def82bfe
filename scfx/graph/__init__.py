"""The channel dependency graph of a program."""

"""The tests, and what they share with the examples and benchmarks."""

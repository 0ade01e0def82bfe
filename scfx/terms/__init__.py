"""Dimensions as terms, terms made one, and what is known along them."""

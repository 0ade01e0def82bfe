"""A finished network in the formats of other programs."""

"""Networks as people write them themselves, tiny."""

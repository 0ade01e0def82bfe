"""Which channels can go, and what goes with them: analysis only."""

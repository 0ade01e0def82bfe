"""A compressed network in one file, which any machine with torch and scfx can run."""

"""States and checkpoints that fit a network of any widths."""

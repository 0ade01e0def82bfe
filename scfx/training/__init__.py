"""Self-compression: quantized weights, sizes, and what an update does."""

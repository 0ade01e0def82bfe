"""What fits the library into the trainers that people use, each an optional extra."""

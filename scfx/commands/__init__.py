"""What the command line does: a command a file, and how they get the model that they are told of."""

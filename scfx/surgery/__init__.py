"""Obeying a prune plan: parameters, buffers, optimizer state, copies."""

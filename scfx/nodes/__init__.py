"""What rewritten graphs call: quantizers, and operators on tensors that have lost channels."""

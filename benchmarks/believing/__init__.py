"""What the reports claim, simulated with their own functions: one file a kind of claim."""

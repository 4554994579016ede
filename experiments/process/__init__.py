"""This process: what it inherits, what it prints, what interrupts it, and its machine."""

"""This process: what it inherits and prints, what interrupts it, and the machine that it is on."""

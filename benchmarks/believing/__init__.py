"""What the reports claim, held against simulations: one file a kind of claim.

Each file has functions that return rows `(figure, case, value, asked, holds)`: what was simulated,
at which sizes, the share that came out, the share that is asked for, and whether it holds.
"""

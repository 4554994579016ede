"""The reports' claims, checked by simulations: one file for each kind of claim.

Each file has `rows(seed, quick)`, which gives a `Row` for each case: what was simulated, at which
sizes, the share that came out, and the share that is asked for.
"""

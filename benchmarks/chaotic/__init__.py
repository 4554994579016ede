"""Disturbances of searches, and what has to be true afterwards; run by `chaos.py`."""

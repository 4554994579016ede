"""Trains one trial: plain data in, plain data out; knows nothing of oracles and drivers."""

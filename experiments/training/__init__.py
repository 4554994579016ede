"""Trains one trial: plain data in, plain data out, without oracles or drivers."""

"""Keras Tuner's oracles, mended: they resume, exhaust finite spaces, survive failures.

Each proposal is a function of the seed, the trial's number and the trials there are, never of
hidden random state, so that an oracle rebuilt from the trial files goes on as if nothing had
happened. They work in plain Keras Tuner too: `keras_tuner.Tuner(oracle=GridOracle(...))`.
"""

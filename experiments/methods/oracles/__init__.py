"""Keras Tuner's oracles, mended: they resume, exhaust finite spaces, survive failures."""

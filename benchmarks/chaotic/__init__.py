"""Disturbances of running searches, and what has to hold afterwards."""

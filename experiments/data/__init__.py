"""Datasets: where they come from, how they are divided, prepared and cached."""

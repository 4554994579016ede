"""Compares arms: studies, or the values of one hyperparameter within a study."""

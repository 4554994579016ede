"""The contract between the searches and their reports: the study folder, and what both read of it.

Loads neither Keras nor pandas."""

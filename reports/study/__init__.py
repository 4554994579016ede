"""A study as pandas frames, loaded from its folder."""

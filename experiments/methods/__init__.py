"""Search methods by name, and the earlier trials that inform them."""

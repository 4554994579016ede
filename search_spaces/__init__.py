"""What can be searched: one Keras Tuner hypermodel a file, listed by a registry."""

from search_spaces.registry import names, space_class

__all__ = ["names", "space_class"]

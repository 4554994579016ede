"""The pages, tables and texts that people read."""

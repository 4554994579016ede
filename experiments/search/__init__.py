"""Runs a whole search, or resumes one."""

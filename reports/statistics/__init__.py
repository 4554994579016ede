"""Statistics of the reports: plain functions on numbers, each from a named source.

Every random draw takes a seed; none comes from a global generator.
"""

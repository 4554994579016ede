"""Results of a study: verdicts, statistics, health, comparisons."""

"""What a study came to: verdicts, statistics, health, comparisons."""

"""Works on recorded studies: reproduce, measure, export, free the disk."""

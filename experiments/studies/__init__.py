"""What is done with a study that is there: reproduce, measure, export, free the disk."""

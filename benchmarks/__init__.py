"""What things cost: parts of it alone, and whole installations."""

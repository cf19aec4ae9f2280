"""What a partition remembers: one store class and one small typed view a table."""

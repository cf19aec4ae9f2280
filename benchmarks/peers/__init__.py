"""The same broadcast through Postrider and through what a team would use instead: see README.md."""

"""Dead letters: found, shown, and put back where they left."""

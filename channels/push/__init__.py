"""Push, one file a provider."""

"""SMS, one file a provider."""

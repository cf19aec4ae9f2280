"""E-mail, one file a provider."""

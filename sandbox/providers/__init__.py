"""One file a provider: its paths, credentials, limits and words of refusal."""

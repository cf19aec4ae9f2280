"""How it leaves: providers, templates, limits. Knows no tables and no topics."""

"""The proof that reconciliation finds every difference and invents none, and what it costs to compare a million payments."""

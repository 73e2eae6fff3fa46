"""Testing -> production, and back."""

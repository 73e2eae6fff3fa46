"""The testing area of a registry -> production, and back."""

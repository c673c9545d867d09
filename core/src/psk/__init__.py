"""Pass-by-reference for distributed Python."""

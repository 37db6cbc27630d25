"""Process the reports of a scanner that has found API keys in public."""

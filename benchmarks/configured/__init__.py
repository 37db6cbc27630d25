"""What users configure: a row for each configuration, and the least that anybody could do for the same."""

"""An application on several machines, which share logouts."""

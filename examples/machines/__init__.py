"""Serve an application on several machines, which share logouts."""

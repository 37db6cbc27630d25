"""CORS preflights of protected paths: answered by the application's CORS layer, without its handlers."""

"""Answer CORS preflights of protected paths with the application's CORS layer, without its handlers."""

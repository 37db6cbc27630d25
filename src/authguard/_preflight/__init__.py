"""Answer CORS preflights of protected paths by the application's CORS layer, without its handlers."""

"""Check the proxies and trusted certificates of connections to remote servers."""

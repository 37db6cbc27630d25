"""Run the server of `authguard serve`: its logs, its checks at the start, its workers."""

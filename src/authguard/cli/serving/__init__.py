"""Run the server of `authguard serve`: its logs, its start-up checks, its workers."""

"""Query the mails that wait to be sent."""

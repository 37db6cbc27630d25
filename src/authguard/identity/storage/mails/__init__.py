"""Query the mails that are to be made."""

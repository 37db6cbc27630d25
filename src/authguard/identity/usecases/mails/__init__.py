"""Make the mails that have been asked for, and see to it that each is sent."""

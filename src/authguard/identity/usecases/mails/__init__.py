"""Create requested mails, and ensure that each is sent."""

"""Do what operators of the service ask for: change and import accounts, and delete what is over."""

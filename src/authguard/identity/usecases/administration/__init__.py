"""Run the tasks of operators: change and import accounts, and delete expired rows."""

"""Exchange of splits with other tools: import, comparison, registration, export, publication."""

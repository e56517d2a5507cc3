"""nginx in front of a profile's servers: its configuration, and what it does when one fails."""

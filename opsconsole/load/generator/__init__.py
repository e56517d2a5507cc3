"""The process that sends: paced, timed and counted here, told of over pipes (see messages.py)."""

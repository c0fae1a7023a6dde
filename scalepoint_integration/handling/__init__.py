"""What an event does."""

"""How a request becomes a stored row."""

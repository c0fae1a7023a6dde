"""How a request becomes a stored row. body.py reads a request, proof.py says who sent it, refusals.py answers and notes
what is refused, deadline.py keeps a frozen database from freezing the sender, store.py stores, endpoint.py puts them
together. issued.py is about the access tokens that Scalepoint fetches from us, token_endpoint.py gives them out.
poller.py is the second way in: events that we fetch."""

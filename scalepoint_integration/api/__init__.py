"""The endpoint. body.py reads a request, proof.py says who sent it, refusals.py answers and notes what is refused,
deadline.py keeps a frozen database from freezing the sender, views.py puts them together. issued.py is about the access
tokens that Scalepoint fetches from us, token_view.py gives them out."""

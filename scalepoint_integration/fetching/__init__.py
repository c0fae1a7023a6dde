"""How images and settlements get in: asked for with an event, fetched later, by queues of their own. addresses.py says
what is public, fetch.py opens foreign addresses, picture.py decides what a picture is."""

"""A stand-in for Scalepoint: a process of its own that sends cases and gives out their images.

The demo, the tests and training use it. It knows the wire contract and nothing else of this project: no models, no
settings, no database. Everyone in it is invented, and recognisable as such.

cases.py invents the cases; pictures.py draws what is on their images; server.py answers, by the table in
routes.py; sender.py posts.
"""

"""The addresses that Scalepoint calls. A host includes them under a path of its own.

A regular expression, because an address without its last slash must not be redirected: a redirected POST is lost.
"""

from django.urls import re_path

from scalepoint_integration.receiving.endpoint import EventView
from scalepoint_integration.receiving.token_endpoint import TokenView

app_name = "scalepoint"
urlpatterns = [
    # Before the other: that one takes every path behind the number.
    re_path(r"^v1/(?P<contract_number>[^/]+)/token/?$", TokenView.as_view(), name="token"),
    re_path(r"^v1/(?P<contract_number>[^/]+)(?:/(?P<rest>.*))?$", EventView.as_view(), name="endpoint"),
]

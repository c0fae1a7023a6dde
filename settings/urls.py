"""Addresses of the site: the admin, and Scalepoint's endpoint."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

admin.site.site_header = admin.site.site_title = "Scalepoint"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("api/scalepoint/", include("scalepoint_integration.urls")),
]

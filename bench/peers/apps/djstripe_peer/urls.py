"""dj-stripe's own addresses, and one that says that the process is up."""

from django.http import HttpResponse
from django.urls import include, path

urlpatterns = [
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
    path("readyz", lambda request: HttpResponse()),
]

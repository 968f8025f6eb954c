"""A project of Django's, set up for this process."""

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        INSTALLED_APPS=["delivcheck.integrations.django"],
        SECRET_KEY="tests",
        USE_TZ=True,
        DEFAULT_FROM_EMAIL="Shop <orders@example.org>",
        SERVER_EMAIL="root@example.org",
        ROOT_URLCONF="tests.integrations.django.inside.urls",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [], "OPTIONS": {}}],
    )
    django.setup()

"""Django: an e-mail backend that sends only what passes, system checks, `manage.py delivcheck`, and a helper for tests.

    INSTALLED_APPS += ["delivcheck.integrations.django"]
    EMAIL_BACKEND = "delivcheck.integrations.django.EmailBackend"

The package has Django's name; `import django` is Django all the same.
"""

from .backend import EmailBackend

__all__ = ["EmailBackend"]

"""Settings of a project for a test: mail through our backend, in whichever way this Django is told so."""

from contextlib import contextmanager

import django
from django.core.mail import EmailMultiAlternatives
from django.test import override_settings

from tests.integrations import house

OURS = "delivcheck.integrations.django.EmailBackend"
SMTP = "django.core.mail.backends.smtp.EmailBackend"
LOCMEM = "django.core.mail.backends.locmem.EmailBackend"
MAILERS = django.VERSION >= (6, 1)


@contextmanager
def project(sink=None, backend=SMTP, options=None, **hooks):
    """Mail goes through our backend to `backend`, over the DNS of a domain that is in order unless `hooks` say otherwise."""
    hooks = {"policy": house.POLICY, "dns": house.dns(), "config": False, **hooks}
    options = dict(options or {})
    if sink is not None:
        options |= {"host": sink.host, "port": sink.port}
    if MAILERS:
        said = {"MAILERS": {"default": {"BACKEND": OURS, "OPTIONS": {"backend": backend, "backend_options": options, **hooks}}}}
    else:
        said = {"EMAIL_BACKEND": OURS, "DELIVCHECK": {"BACKEND": backend, "OPTIONS": options, **hooks}}
    with override_settings(**said):
        yield


def letter(subject=house.SUBJECT, text=house.TEXT, **more):
    return EmailMultiAlternatives(subject, text, house.FROM, more.pop("to", [house.TO]), **more)

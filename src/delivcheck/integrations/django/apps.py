"""The app: registers the system checks."""

from django.apps import AppConfig
from django.core.checks import register
from django.core.signals import setting_changed

from . import conf
from .checks import domains_are_in_order, settings_are_valid

TAG = "delivcheck"


class DelivcheckConfig(AppConfig):  # type: ignore[misc] # Django ships no types
    """delivcheck in a project."""

    name = "delivcheck.integrations.django"
    label = "delivcheck"
    verbose_name = "delivcheck"

    def ready(self) -> None:
        """Register what `manage.py check` runs; the audit of domains asks DNS, and belongs to --deploy."""
        register(settings_are_valid, TAG)
        register(domains_are_in_order, TAG, deploy=True)
        setting_changed.connect(_changed, dispatch_uid="delivcheck.settings")


def _changed(*, setting: str, **_: object) -> None:
    if setting in {conf.SETTING, "MAILERS"}:
        conf.forget()

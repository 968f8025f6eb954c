"""Django's global settings and translations, lent for the time of one rendering.

Tags for translation, dates and numbers read `django.conf.settings`. A process in which Django runs has its own; elsewhere
Django's defaults stand in, and nothing of them is left behind: whoever configures Django later finds it untouched.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.apps import apps
from django.conf import UserSettingsHolder, global_settings, settings
from django.conf.locale import LANG_INFO
from django.utils import formats, timezone, translation

_ONE_AT_A_TIME = threading.RLock()  # what is lent is the process's


class Untranslated:
    """Stands for Django's translations where no app is loaded that could have any: every message is its own translation.

    The names are those of `django.utils.translation.trans_real`, which wants a registry of apps.
    """

    def __init__(self) -> None:
        self._language: str | None = None

    def gettext(self, message: str) -> str:
        """The message, with the line ends that Django looks up: also one for which there is no translation has them."""
        if "\r" not in message:
            return message
        return type(message)(message.replace("\r\n", "\n").replace("\r", "\n"))

    gettext_noop = gettext

    def pgettext(self, context: str, message: str) -> str:
        """The message itself: Django gives it back as it is written where there is no translation."""
        return message

    def ngettext(self, singular: str, plural: str, number: float) -> str:
        """English has a singular for one."""
        return singular if number == 1 else plural

    def npgettext(self, context: str, singular: str, plural: str, number: float) -> str:
        """As `ngettext`."""
        return self.ngettext(singular, plural, number)

    def activate(self, language: str | None) -> None:
        """Remember the language, for formats of dates and numbers."""
        self._language = language or self._language

    def deactivate(self) -> None:
        """Go back to the default."""
        self._language = None

    deactivate_all = deactivate

    def get_language(self) -> str:
        """The language of formats."""
        return self._language or str(settings.LANGUAGE_CODE)

    def get_language_bidi(self) -> bool:
        """Whether it is written from right to left."""
        return self.get_language().split("-")[0] in settings.LANGUAGES_BIDI

    def check_for_language(self, code: str | None) -> bool:
        """Whether Django knows its formats."""
        return code is not None and (code.lower() in LANG_INFO or code.lower().split("-")[0] in LANG_INFO)


def in_a_project() -> bool:
    """Whether Django runs in this process, with its apps."""
    return bool(settings.configured and apps.ready)


@contextmanager
def room() -> Iterator[None]:
    """Lend settings and translations, unless the process has its own."""
    with _ONE_AT_A_TIME:
        if in_a_project():
            yield
            return
        had, spoke = settings._wrapped, translation._trans
        if not settings.configured:
            settings._wrapped = UserSettingsHolder(global_settings)
            settings.TIME_ZONE = "UTC"  # Django's own default is a city's
        translation._trans = Untranslated()
        _forget()
        try:
            yield
        finally:
            settings._wrapped, translation._trans = had, spoke
            _forget()


def _forget() -> None:
    """Drop what Django remembers of its settings, as its own `setting_changed` does."""
    formats.reset_format_cache()
    timezone.get_default_timezone.cache_clear()

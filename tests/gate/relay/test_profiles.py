"""The profiles say where they have it from, and no more than that."""

import pytest

from delivcheck.gate.profiles import PROFILES
from delivcheck.gate.settings import NextHop


def test_a_next_hop_without_a_word_is_a_plain_relay():
    profile = PROFILES[NextHop.__dataclass_fields__["profile"].default]
    assert (profile.spf, profile.rewrites, profile.keeps_signature) == (True, frozenset(), True)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda one: one.name)
def test_every_providers_profile_has_its_sources(profile):
    assert PROFILES[profile.name] is profile
    assert profile.rewrites == {name.lower() for name in profile.rewrites}
    if profile.elsewhere:
        assert profile.sources
        assert not profile.spf
    assert all(source.url.startswith("https://") and source.says for source in profile.sources)


def test_amazon_ses_rewrites_message_id_and_date():
    assert PROFILES["amazon-ses"].rewrites >= {"message-id", "date"}

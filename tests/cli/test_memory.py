"""Garbage is collected seldom while a batch is checked, and as usual after it, whatever happens."""

import gc

import pytest

from delivcheck.cli.memory import SELDOM, seldom_collected


def test_it_is_seldom_inside_and_as_usual_after():
    usual = gc.get_threshold()

    with seldom_collected():
        assert gc.get_threshold() == (SELDOM, *usual[1:])
        assert gc.isenabled()

    assert gc.get_threshold() == usual


def test_it_is_as_usual_after_an_error():
    usual = gc.get_threshold()

    with pytest.raises(ValueError, match="oops"), seldom_collected():
        raise ValueError("oops")

    assert gc.get_threshold() == usual

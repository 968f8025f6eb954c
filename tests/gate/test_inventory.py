"""Every attack of the inventory has its test."""

import pytest

from tests.gate import inventory


def test_no_attack_is_without_a_test(request):
    if set(request.config.args) != set(request.config.getini("testpaths")) or request.config.option.keyword:
        pytest.skip("the whole suite tells; or `python -m tests.gate.inventory`")
    found = inventory.Found()
    found.note(request.session.items)
    assert found.lacking() == []
    assert found.unknown() == []


def test_the_inventory_has_seventy():
    assert list(inventory.TITLES) == list(range(1, 71))

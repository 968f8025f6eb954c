"""Address sets: first match wins, differences are exact, networks are the fewest."""

from ipaddress import ip_network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.address_sets import WHOLE, Entry, first_match, networks, size, span_of, without

SMALL = 40  # addresses of the world in which sets are compared one by one
spans = st.tuples(st.integers(0, SMALL), st.integers(0, SMALL)).map(lambda pair: (min(pair), max(pair)))
lists = st.lists(st.tuples(spans, st.integers(0, 5), st.booleans()), max_size=12)


def members(found):
    return {number for first, last in found for number in range(first, last + 1)}


@given(lists)
def test_each_address_goes_by_the_first_entry_that_has_it(lines):
    lines = [(span, order * 100 + index, takes) for index, (span, order, takes) in enumerate(lines)]  # no two of one order
    found = first_match(Entry(*line) for line in lines)

    def taken(number):
        having = [line for line in lines if line[0][0] <= number <= line[0][1]]
        return bool(having) and min(having, key=lambda line: line[1])[2]

    assert members(found) == {number for number in range(SMALL + 1) if taken(number)}
    assert all(one[1] + 1 < other[0] for one, other in pairwise(found)), "sorted, with gaps between them"


@given(lists, lists)
def test_a_difference_has_what_is_in_the_one_alone(these, those):
    one, other = (first_match(Entry(span, 0, takes=True) for span, _, _ in each) for each in (these, those))
    assert members(without(one, other)) == members(one) - members(other)
    assert size(without(one, other)) == len(members(one) - members(other))


def test_networks_are_the_fewest_of_either_version():
    assert list(networks(((0xC0000200, 0xC00002FF),), 4)) == ["192.0.2.0/24"]
    assert list(networks(((0xC0000201, 0xC0000203),), 4)) == ["192.0.2.1/32", "192.0.2.2/31"]
    assert list(networks((span_of(ip_network("2001:db8::/32")),), 6)) == ["2001:db8::/32"]
    assert list(networks(WHOLE[4], 4)) == ["0.0.0.0/0"]
    assert list(networks(WHOLE[6], 6)) == ["::/0"]
    assert size(WHOLE[4]) == 2**32


def test_nothing_at_all_is_nothing():
    assert first_match([]) == ()
    assert without((), WHOLE[4]) == ()
    assert without(WHOLE[4], WHOLE[4]) == ()

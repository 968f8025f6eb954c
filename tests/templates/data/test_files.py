"""Data files: found beside a template, read in three formats, bounded, and one error that names file and line."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.templates.data.files import MAX_FILE, MAX_SETS, DataError, Nearby, read
from delivcheck.templates.data.plain import MAX_DEPTH, MAX_VALUES


def written(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def fault(path):
    with pytest.raises(DataError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


# --- finding -----------------------------------------------------------------------------------------------------


def test_data_stands_beside_its_template(tmp_path):
    for name in (
        "welcome.html",
        "welcome.json",
        "welcome.data.yaml",
        "welcome.returning.json",
        "welcome.data/de.toml",
        "welcome.data/notes.md",
        "welcome.mobile.html",
        "welcome.mobile.json",
        "welcomes.json",
        "goodbye.json",
        "welcome.a.b.json",
    ):
        written(tmp_path, name, "")
    near = Nearby()
    assert [path.relative_to(tmp_path).as_posix() for path in near.of(tmp_path, "welcome")] == [
        "welcome.data.yaml",
        "welcome.json",
        "welcome.returning.json",
        "welcome.data/de.toml",
    ]
    assert [path.name for path in near.of(tmp_path, "welcome.mobile")] == ["welcome.mobile.json"]


def test_a_case_may_have_other_data_of_its_name(tmp_path):
    for name in ("a.html", "a.b.json", "a.b.yaml"):
        written(tmp_path, name, "")
    assert len(Nearby().of(tmp_path, "a")) == 2


def test_names_are_compared_in_any_case(tmp_path):
    for name in ("Welcome.html", "Welcome.json", "Welcome.Data/New.JSON"):
        written(tmp_path, name, "{}")
    assert [path.name for path in Nearby().of(tmp_path, "welcome")] == ["Welcome.json", "New.JSON"]


def test_data_of_a_folder_that_is_not_there(tmp_path):
    assert Nearby().of(tmp_path / "none", "a") == ()


def test_a_template_has_no_more_than_so_many_data_sets(tmp_path):
    for number in range(MAX_SETS + 5):
        written(tmp_path, f"a.{number}.json", "{}")
    assert len(Nearby().of(tmp_path, "a")) == MAX_SETS


# --- reading -----------------------------------------------------------------------------------------------------

WANTED = {"name": "Ana", "orders": [{"id": 7, "paid": True, "note": None}], "rate": 0.5}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"name": "Ana", "orders": [{"id": 7, "paid": true, "note": null}], "rate": 0.5}'),
        ("a.yaml", "name: Ana\norders:\n  - {id: 7, paid: yes, note: }\nrate: 0.5\n"),
        ("a.YML", "\ufeffname: Ana\norders:\n- id: 7\n  paid: true\n  note: ~\nrate: 0.5\n"),
    ],
)
def test_one_data_set(tmp_path, name, text):
    (one,) = read(path := written(tmp_path, name, text))
    assert one.data == WANTED
    assert (one.name, one.path, one.made_up) == (str(path), path, False)


def test_toml_has_dates(tmp_path):
    (one,) = read(written(tmp_path, "a.toml", 'name = "Ana"\nsince = 2026-11-23\n[[orders]]\nid = 7\n'))
    assert one.data == {"name": "Ana", "since": dt.date(2026, 11, 23), "orders": [{"id": 7}]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '{"data-sets": {"new": {"n": 1}, "old": {"n": 2}}}'),
        ("a.yaml", "data-sets:\n  new: {n: 1}\n  old: {n: 2}\n"),
        ("a.toml", "[data-sets.new]\nn = 1\n[data-sets.old]\nn = 2\n"),
    ],
)
def test_several_data_sets_in_a_file(tmp_path, name, text):
    path = written(tmp_path, name, text)
    assert [(one.name, one.data) for one in read(path)] == [(f"{path}#new", {"n": 1}), (f"{path}#old", {"n": 2})]


def test_a_value_may_be_called_as_the_key_of_several(tmp_path):
    (one,) = read(written(tmp_path, "a.json", '{"data-sets": {"a": {}}, "n": 1}'))
    assert set(one.data) == {"data-sets", "n"}


FAULTS = [
    ("a.json", '{"a":\n 1,}', ":2: no JSON: expecting property name enclosed in double quotes"),
    ("a.json", "", ":1: no JSON: expecting value"),
    ("a.json", '{"a": NaN}', ": no JSON: NaN is no number (RFC 8259 section 6)"),
    ("a.json", '{"a": ' + "1" * 5000 + "}", ": no JSON: exceeds the limit (4300 digits) for integer string conversion"),
    ("a.json", "[" * 100_000, f": nested deeper than {MAX_DEPTH}"),
    ("a.json", "[" * 70 + "]" * 70, f": nested deeper than {MAX_DEPTH}"),
    ("a.json", "[1]", ":1: a data set is a mapping of names to values, not a list"),
    ("a.json", "null", ":1: a data set is a mapping of names to values, not nothing"),
    ("a.json", '"x"', ":1: a data set is a mapping of names to values, not one value"),
    ("a.json", '{"data-sets": []}', ": data-sets is a mapping of names to data sets"),
    ("a.json", '{"data-sets": {"a": 1}}', ": data-sets is a mapping of names to data sets"),
    ("a.json", '{"data-sets": {' + ",".join(f'"{n}":{{}}' for n in range(101)) + "}}", ": 101 data sets; more than 100 are not taken"),
    ("a.json", "[" + "1," * MAX_VALUES + "1]", f": more than {MAX_VALUES} values"),
    ("a.json", b"{\n\xff}", ":2: not UTF-8"),
    ("a.json", b" " * (MAX_FILE + 1), f": more than {MAX_FILE} octets of data"),
    ("a.toml", "a = 1\nb = = 2", ":2: no TOML: invalid value"),
    ("a.toml", 'a = """x\ny', ":2: no TOML: unterminated string"),
    ("a.toml", "a = " + "[" * 50_000, ": no TOML: nested too deeply"),
    ("a.yaml", "a: b\n c: d: e", ":2: no YAML: mapping values are not allowed in this context"),
    ("a.yaml", "a: \x01", ": no YAML: control characters are not allowed"),
    ("a.yaml", "[" * 100_000, f":1: nested deeper than {MAX_DEPTH}"),
    ("a.yaml", "a: 1\n---\nb: 2", ":2: a second document begins; several data sets stand under data-sets"),
    ("a.yaml", "a: &a [*a]", ":1: the alias *a refers to nothing that ended before it"),
    ("a.yaml", "a:\n  !!python/object/apply:os.system [x]", ":2: the tag tag:yaml.org,2002:python/object/apply:os is not read here"),
    ("a.yaml", "a: !!binary aGk=", ":1: the tag tag:yaml.org,2002:binary is not read here"),
    ("a.yaml", "a: !mine x", ":1: the tag !mine is not read here"),
    ("a.yaml", "a: !!int x", ":1: 'x' is no int"),
    ("a.yaml", "a: 2026-02-31", ":1: '2026-02-31' is no timestamp"),
    ("a.yaml", "? [a]\n: b", ":1: a key that is no text"),
    ("a.yaml", "a:\n  <<: 1", ":2: << merges a mapping"),
    ("a.csv", "a", ": data is read from .json, .yaml, .yml, .toml files"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "said"), FAULTS, ids=range(len(FAULTS)))
def test_what_cannot_be_used_is_told_in_one_line(tmp_path, name, text, said):
    assert fault(written(tmp_path, name, text)) == said


def test_what_is_no_file(tmp_path):
    assert fault(tmp_path / "none.json") == ": no such file"
    (tmp_path / "folder.json").mkdir()
    assert fault(tmp_path / "folder.json") == ": not a file"


def bomb(first, pattern):
    lines = [first, *(pattern.format(name=chr(98 + level), many=", ".join([f"*{chr(97 + level)}"] * 10)) for level in range(9))]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb("a: &a [x, x, x, x, x, x, x, x, x, x]", "{name}: &{name} [{many}]"),
        bomb("a: &a {k: 1}", "{name}: &{name} {{<<: [{many}]}}"),
        "a: &a " + "x" * 1000 + "\nb: [" + "*a, " * 10_000 + "*a]",
    ],
    ids=["lists", "merged", "one long text"],
)
def test_few_lines_of_aliases_do_not_become_millions_of_values(tmp_path, text):
    assert fault(written(tmp_path, "a.yaml", text)).endswith("values, with what aliases stand for")


def test_aliases_do_not_nest_deeper_than_anything_else(tmp_path):
    lines = ["a0: &a0 [x]", *(f"a{n + 1}: &a{n + 1} [*a{n}]" for n in range(80))]
    assert f"nested deeper than {MAX_DEPTH}, with" in fault(written(tmp_path, "a.yaml", "\n".join(lines)))


def test_keys_of_yaml_are_texts_and_aliases_share(tmp_path):
    text = "no: yes\n1: &n [a]\non: *n\nbase: &b {c: 1, d: 1}\nown:\n  <<: [*b, {e: 3}]\n  d: 2\nodd: <<\nequal: =\n"
    (one,) = read(written(tmp_path, "a.yaml", text))
    assert one.data == {
        "no": True,
        "1": ["a"],
        "on": ["a"],
        "base": {"c": 1, "d": 1},
        "own": {"c": 1, "d": 2, "e": 3},
        "odd": "<<",
        "equal": "=",
    }


def test_an_empty_yaml_file_is_a_data_set_without_values(tmp_path):
    (one,) = read(written(tmp_path, "a.yaml", "# nothing yet\n"))
    assert one.data == {}


SIGNS = st.text("{}[]&*<>:-?!'\"\n a1,#|%=", max_size=60)


@given(st.sampled_from([".json", ".yaml", ".toml"]), st.binary(max_size=200) | SIGNS.map(str.encode))
def test_reading_returns_or_raises_the_declared_error(tmp_path_factory, suffix, raw):
    path = tmp_path_factory.mktemp("data", numbered=True) / f"a{suffix}"
    path.write_bytes(raw)
    try:
        found = read(path)
    except DataError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(one.data, dict) for one in found)

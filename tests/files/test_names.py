import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.files.faults import FileFault
from processors.files.names import column_names
from tests.fuzzing import PATIENCE, fuzzing


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("lineItem/UnblendedCost", "line_item_unblended_cost"),
        ("identity/LineItemId", "identity_line_item_id"),
        ("resourceTags/user:Name", "resource_tags_user_name"),
        ("savingsPlan/SavingsPlanARN", "savings_plan_savings_plan_a_r_n"),
        ("product/servicecode", "product_servicecode"),
        # The example in AWS's guide.
        ("ExampleColumnName : Example Column Name Continued", "example_column_name_example_column_name_continued"),
        ("BilledCost", "billed_cost"),
        ("line_item_usage_amount", "line_item_usage_amount"),
        ("_a_", "a"),
        ("2nd", "_2nd"),
        ("a" + "_b" * 200, "a" + "b" * 101 + "_b" * 99),
    ],
)
def test_snake_case_is_what_aws_calls_the_columns_in_athena(header: str, name: str) -> None:
    assert column_names([header], "snake_case", "cur.csv") == [name]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("lineItem/UnblendedCost", "lineItem_UnblendedCost"),
        ("cost", "cost"),
        (" cost ", "cost"),
        ("Größe", "Gr__e"),
        ("2nd", "_2nd"),
        ("x" * 301, "x" * 300),
    ],
)
def test_other_characters_become_underscores(header: str, name: str) -> None:
    assert column_names([header], "keep", "costs.csv") == [name]


def test_names_that_would_be_the_same_get_numbers_that_nobody_has() -> None:
    headers = ["resourceTags/user:Name", "resourceTags/user:name", "resource_tags_user_name_2", "RESOURCE"]
    assert column_names(headers, "snake_case", "cur.csv") == [
        "resource_tags_user_name",
        "resource_tags_user_name_3",
        "resource_tags_user_name_2",
        "r_e_s_o_u_r_c_e",
    ]
    assert column_names(["a", "A", "a"], "keep", "costs.csv") == ["a", "A_2", "a_3"]


def test_headers_without_a_name_are_told_with_their_positions() -> None:
    with pytest.raises(FileFault, match=r"^costs.csv: column 2 has no name, column 4 has no name; a name needs"):
        column_names(["a", "", "b", " "], "keep", "costs.csv")
    with pytest.raises(FileFault, match=r"column 1 is called '//'"):
        column_names(["//"], "snake_case", "costs.csv")


@PATIENCE
@fuzzing(300)
@given(
    st.lists(st.text(min_size=1).filter(str.strip) | st.sampled_from(["a", "A", "a_2", "A_2", "a_3"]), max_size=30),
)
def test_fuzzed_names_are_bigquerys_and_unique(headers: list[str]) -> None:
    names = column_names(headers, "keep", "costs.csv")

    assert len(names) == len(headers) == len({name.lower() for name in names})
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,299}", name) for name in names)

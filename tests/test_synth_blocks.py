from implicore.synth.blocks import instances


def test_module_belongs_to_the_enclosing_block():
    pe = "implicore_processing_element"
    children = {
        "implicore": {"core": "implicore_core"},
        "implicore_core": {
            "array": "implicore_systolic_array",
            "row_0": "implicore_row_unit",
            "row_1": "implicore_row_unit",
        },
        "implicore_systolic_array": {
            "row_0": "implicore_array_row",
            "row_1": "implicore_array_row",
        },
        "implicore_array_row": {"pe_0": pe, "pe_1": pe, "pe_2": pe},
        "implicore_row_unit": {"output_mac": pe, "hidden": "ram"},
        "ram": {"sram_0_0": "macro"},
    }
    found = {(name, block): times for name, block, times in instances(children, {"ram": "hidden"})}
    assert found == {
        ("implicore", "control"): 1,
        ("implicore_core", "control"): 1,
        ("implicore_systolic_array", "array"): 1,
        ("implicore_array_row", "array"): 2,
        (pe, "array"): 6,
        ("implicore_row_unit", "row units"): 2,
        (pe, "row units"): 2,
        ("ram", "memory hidden"): 2,
        ("macro", "memory hidden"): 2,
    }


def test_modules_come_in_the_order_of_their_instances():
    """Sums over blocks are then equal to the last bit in every run."""
    names = [f"module_{number}" for number in range(20)]
    children = {"implicore": {f"instance_{name}": name for name in names}}
    assert [name for name, _, _ in instances(children, {})] == ["implicore", *names]

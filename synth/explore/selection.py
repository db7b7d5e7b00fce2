"""Select designs of a sweep: by a condition on its columns, and the best in a metric."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write
from implicore.config_file import FIELDS, to_toml
from implicore.errors import BadInput

from .metrics import metric

ALLOWED = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Name, ast.Load, ast.Constant),
    *(ast.List, ast.Tuple),
)
"""Nodes of a condition. Without calls, attributes and indices it cannot run code."""

EXAMPLE = "psnr_db > 38 and area_um2 < 4e6"


def check_condition(condition: str, columns: Iterable[str]) -> None:
    """Raise BadInput unless the text is a condition on these columns."""
    no_comparison = f'A condition must be a comparison such as "{EXAMPLE}", not {condition!r}.'
    try:
        tree = ast.parse(condition.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadInput(no_comparison) from None
    for node in ast.walk(tree):
        if not isinstance(node, ALLOWED):
            raise BadInput(
                f'A condition may only compare columns, numbers and strings, as in "{EXAMPLE}": '
                f"{ast.unparse(node)!r} is not allowed."
            )
        if isinstance(node, ast.Name) and node.id not in columns:
            raise BadInput(
                f"{node.id} is not a column of a sweep: choose from {', '.join(map(str, columns))}."
            )
    if not isinstance(tree.body, ast.BoolOp | ast.Compare | ast.UnaryOp | ast.Name):
        raise BadInput(no_comparison)


def where(table: pd.DataFrame, condition: str) -> pd.Series:
    """Return which rows of a table meet a condition; a missing value does not meet any.

    Raises
    ------
    BadInput
        The text is not a condition on the table's columns.
    """
    check_condition(condition, table.columns)
    try:
        met = table.eval(condition.strip(), engine="python")
        if not isinstance(met, pd.Series) or not pd.api.types.is_bool_dtype(met):
            raise TypeError
    except (TypeError, ValueError, NotImplementedError, ArithmeticError):
        raise BadInput(
            f"The condition {condition!r} is not true or false for each row: compare numbers with "
            "numbers and strings with strings."
        ) from None
    return met.fillna(False).astype(bool)


def best(table: pd.DataFrame, name: str, condition: str | None = None) -> pd.Series | None:
    """Return the feasible row with the best value of a metric, or None.

    Parameters
    ----------
    table : DataFrame
        A sweep's results.
    name : str
        Name of the metric, which defines whether less or more is better.
    condition : str, optional
        Condition that the row meets, see ``where``.
    """
    better = metric(name).better
    rows = table[table["feasible"] & table[name].notna()]
    if condition:
        rows = rows[where(rows, condition)]
    if rows.empty:
        return None
    return rows.loc[rows[name].idxmin() if better == "min" else rows[name].idxmax()]


def write_best(
    folder: str | Path, table: pd.DataFrame, name: str, condition: str | None = None
) -> dict | None:
    """Write the configuration of the best row into ``best.toml``, for ``generate --config``.

    Parameters
    ----------
    folder : path-like
        Folder of the file.
    table, name, condition
        See ``best``.

    Returns
    -------
    dict or None
        The row's values and, as ``config``, the file; None if no row meets the condition.
    """
    row = best(table, name, condition)
    if row is None:
        return None
    values = {
        column: value.item() if hasattr(value, "item") else value
        for column, value in row.items()
        if not pd.isna(value)
    }
    # Results of earlier versions lack newer fields.
    fields = {field: values[field] for field in FIELDS if field in values}
    config = AcceleratorConfig.from_dict(fields)
    path = Path(folder) / "best.toml"
    with atomic_write(path) as temporary:
        temporary.write_text(to_toml(config), encoding="utf-8")
    return {**values, "config": str(path)}

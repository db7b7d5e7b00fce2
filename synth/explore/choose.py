"""One design out of a sweep: conditions in words of its columns, and the best that meets them."""

from __future__ import annotations

import ast

import pandas as pd

from implicore.errors import BadInput

from .metrics import metric

ALLOWED = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Name, ast.Load, ast.Constant),
    *(ast.List, ast.Tuple),
)
"""No calls, no attributes, no indices: a condition compares, and runs nothing."""


def check(condition: str, columns) -> None:
    """BadInput, one sentence, unless this is a condition on these columns."""
    example = 'such as "psnr_db > 38 and area_um2 < 4e6"'
    try:
        tree = ast.parse(condition.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise BadInput(f"A condition must be a comparison {example}, not {condition!r}.") from None
    for node in ast.walk(tree):
        if not isinstance(node, ALLOWED):
            raise BadInput(
                f"A condition may compare columns with numbers and names, {example}, "
                f"but not hold {ast.unparse(node)!r}."
            )
        if isinstance(node, ast.Name) and node.id not in columns:
            raise BadInput(
                f"{node.id} is no column of a sweep: they are {', '.join(map(str, columns))}."
            )
    if not isinstance(tree.body, ast.BoolOp | ast.Compare | ast.UnaryOp | ast.Name):
        raise BadInput(f"A condition must be a comparison {example}, not {condition!r}.")


def where(table: pd.DataFrame, condition: str) -> pd.Series:
    """Which rows meet a condition; a missing value meets none.

    Raises BadInput, one sentence, for a condition that is none.
    """
    check(condition, table.columns)
    try:
        met = table.eval(condition.strip(), engine="python")
        if not isinstance(met, pd.Series) or not pd.api.types.is_bool_dtype(met):
            raise TypeError
    except (TypeError, ValueError, NotImplementedError, ArithmeticError):
        raise BadInput(f"The condition {condition!r} cannot be answered by yes or no.") from None
    return met.fillna(False).astype(bool)


def best(table: pd.DataFrame, name: str, condition: str | None = None) -> pd.Series | None:
    """The feasible row that is best in a metric, by the metric's own idea of better, or None.

    Parameters
    ----------
    table : DataFrame
        A sweep's results.
    name : str
        Of a metric.
    condition : str, optional
        What it must also meet, see ``where``.
    """
    kind = metric(name)
    rows = table[table["feasible"] & table[name].notna()]
    if condition:
        rows = rows[where(rows, condition)]
    if rows.empty:
        return None
    return rows.loc[rows[name].idxmin() if kind.better == "min" else rows[name].idxmax()]

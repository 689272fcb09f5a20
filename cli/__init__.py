"""`adyton ...`: the operator's commands."""

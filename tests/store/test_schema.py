"""The tables as SQL text: what is kept is what the models say, and no start has to import them."""

from __future__ import annotations

import subprocess
import sys

from energyctl.store import Store
from energyctl.store.files import SCHEMA
from energyctl.store.models import ddl, schema_text


def test_the_kept_schema_is_that_of_the_models():
    assert SCHEMA.read_text("utf-8") == schema_text()


def test_a_new_file_has_every_table_and_index(path):
    with Store.open(path) as store:
        rows = store._ready().execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    assert {" ".join(sql.split()) for (sql,) in rows} == {" ".join(statement.split()) for statement in ddl()}


def test_a_first_start_needs_no_sqlmodel(path):
    code = (
        f"import sys; from pathlib import Path; from energyctl.store import Store; Store.open(Path({str(path)!r}));"
        "print([m for m in ('sqlmodel', 'sqlalchemy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

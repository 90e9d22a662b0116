"""Procrastinate on PostgreSQL: every submit is on disk. Ten tasks at once."""

import os
import sys

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from working import amount, measure, say

app = App(connector=PsycopgConnector(conninfo=os.environ["QUEUE_URL"]), import_paths=["work_procrastinate"])


@app.task(name="nothing")
def nothing():
    say()


if __name__ == "__main__":
    with app.replace_connector(SyncPsycopgConnector(conninfo=os.environ["QUEUE_URL"])) as sync, sync.open():
        sync.schema_manager.apply_schema()

        def submit():
            sync.configure_task("nothing").defer()

        def submit_many(many):
            sync.configure_task("nothing").batch_defer(*({} for _ in range(many)))

        command = [sys.executable, "-m", "procrastinate", "-a", "work_procrastinate.app", "worker", "-c", "10"]
        measure(submit, command, amount() // 4, submit_many=submit_many)

"""Reads Delta tables with one of Python's engines: jobs come as JSON on standard input, an answer per job goes out as a line.

usage: read_table.py deltalake|polars|datafusion|spark|append|files

A job is {"path": ..., "version": number or null}; `append` takes {"path": ..., "rows": [...]} and writes with delta-rs;
`files` answers with the paths of the version's data files, as delta-rs knows them.
"""

import json
import os
import sys


def read_deltalake(path, version):
    from deltalake import DeltaTable

    return DeltaTable(path, version=version).to_pyarrow_table()


def read_polars(path, version):
    import polars

    return polars.scan_delta(path, version=version).collect().to_arrow()


def read_datafusion(path, version):
    import pyarrow
    from datafusion import SessionContext
    from deltalake import DeltaTable

    context = SessionContext()
    context.register_dataset("t", DeltaTable(path, version=version).to_pyarrow_dataset())
    return pyarrow.Table.from_batches(context.sql("select * from t").collect())


class Spark:
    def __init__(self):
        from delta import configure_spark_with_delta_pip
        from pyspark.sql import SparkSession

        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        builder = (
            SparkSession.builder.master("local[1]")
            .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
            .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.log.level", "ERROR")
        )
        jars = os.environ.get("VARVE_TEST_SPARK_JARS")
        builder = builder.config("spark.jars", jars) if jars else configure_spark_with_delta_pip(builder)
        self.session = builder.getOrCreate()

    def __call__(self, path, version):
        reader = self.session.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(path).toArrow()


def rows_of(table):
    """Rows as texts, as rows.ts has them: doubles and decimals as numbers, integers as texts, times in microseconds."""
    import pyarrow
    import pyarrow.compute

    columns = {}
    for name, column in zip(table.column_names, table.columns):
        if name == "day":
            continue
        kind = column.type
        if pyarrow.types.is_timestamp(kind):
            column = column.cast(pyarrow.timestamp("us", kind.tz)).cast(pyarrow.int64())
            columns[name] = [None if value is None else str(value) for value in column.to_pylist()]
        elif pyarrow.types.is_decimal(kind):
            columns[name] = [None if value is None else float(value) for value in column.to_pylist()]
        elif pyarrow.types.is_integer(kind):
            columns[name] = [None if value is None else str(value) for value in column.to_pylist()]
        else:
            columns[name] = column.to_pylist()
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def append(path, rows):
    """Rows without the columns that they lack; `time` in microseconds."""
    import datetime

    import pyarrow
    from deltalake import DeltaTable, write_deltalake

    arrow_schema = pyarrow.schema(DeltaTable(path).schema().to_arrow())
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    for row in rows:
        row["time"] = epoch + datetime.timedelta(microseconds=row["time"])
        row["day"] = row["time"].date()
    columns = {
        field.name: pyarrow.array([row.get(field.name) for row in rows], field.type) for field in arrow_schema
    }
    write_deltalake(path, pyarrow.table(columns, schema=arrow_schema), mode="append")


def files(path, version):
    from deltalake import DeltaTable

    uris = DeltaTable(path, version=version).file_uris()
    return sorted(uri.removeprefix("file://").removeprefix(path).lstrip("/") for uri in uris)


def main():
    engine = sys.argv[1]
    jobs = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever engines print of their own does not mix with the answers
    if engine == "append":
        for job in jobs:
            append(job["path"], job["rows"])
        return
    readers = {"deltalake": read_deltalake, "polars": read_polars, "datafusion": read_datafusion}
    read = None if engine == "files" else readers.get(engine) or Spark()
    for job in jobs:
        try:
            if engine == "files":
                answer = {"files": files(job["path"], job["version"])}
            else:
                answer = {"rows": rows_of(read(job["path"], job["version"]))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()

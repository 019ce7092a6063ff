"""Read the rows of `facegeom batch` with pandas, Polars, DuckDB and Spark: the faces that look to a side.

    python examples/batch_rows.py run/parts --reader duckdb

Folders of `facegeom batch merge` read the same. Each reader gets the columns that it needs alone.
"""

import argparse
from collections.abc import Callable

SIDE_DEG = 30


def by_pandas(folder: str) -> list[tuple[str, float]]:
    import pandas as pd

    rows = pd.read_parquet(folder, columns=["key", "yaw_deg"])
    faces = rows.explode("yaw_deg").dropna()
    faces = faces[faces["yaw_deg"].astype(float).abs() > SIDE_DEG]
    return list(faces.itertuples(index=False, name=None))


def by_polars(folder: str) -> list[tuple[str, float]]:
    import polars as pl

    faces = pl.scan_parquet(f"{folder}/*.parquet").select("key", "yaw_deg").explode("yaw_deg")
    return faces.filter(pl.col("yaw_deg").abs() > SIDE_DEG).collect().rows()


def by_duckdb(folder: str) -> list[tuple[str, float]]:
    import duckdb

    faces = f"SELECT key, unnest(yaw_deg) AS yaw_deg FROM '{folder}/*.parquet'"
    return duckdb.sql(f"SELECT * FROM ({faces}) WHERE abs(yaw_deg) > {SIDE_DEG}").fetchall()


def by_spark(folder: str) -> list[tuple[str, float]]:
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import abs as absolute
    from pyspark.sql.functions import col, explode

    session = SparkSession.builder.appName("facegeom rows").getOrCreate()
    faces = session.read.parquet(folder).select("key", explode("yaw_deg").alias("yaw_deg"))
    return [tuple(row) for row in faces.where(absolute(col("yaw_deg")) > SIDE_DEG).collect()]


READERS: dict[str, Callable[[str], list[tuple[str, float]]]] = {
    "pandas": by_pandas,
    "polars": by_polars,
    "duckdb": by_duckdb,
    "spark": by_spark,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("--reader", choices=READERS, default="pandas")
    given = parser.parse_args()
    for key, yaw_deg in sorted(READERS[given.reader](given.folder)):
        print(f"{key} {yaw_deg:.0f}°")

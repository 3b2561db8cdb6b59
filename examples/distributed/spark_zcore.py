"""ZCore under Spark: `rdd.pipe` runs the program once for each partition, and once for each node of a tree of merges.

    pip install pyspark numpy      # and a Java runtime
    python spark_zcore.py EMB.npy --labelloop target/release/labelloop --partitions 7 -k 1000
"""

import argparse
import base64
import math
import shlex

import numpy
from pyspark.sql import SparkSession

import rounds


def lines(path, start, end):
    """Rows as the program reads them: number, white space, base64 of little-endian f32."""
    rows = numpy.load(path, mmap_mode="r")
    for i in range(start, end):
        yield f"{i}\t{base64.b64encode(numpy.ascontiguousarray(rows[i], '<f4').tobytes()).decode()}"


def main():
    args = rounds.arguments(argparse.ArgumentParser(description=__doc__)).parse_args()
    spark = SparkSession.builder.appName("labelloop zcore").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    path, n_rows = args.embeddings, numpy.load(args.embeddings, mmap_mode="r").shape[0]
    # With vectors in a table, this line is `table.rdd.map(...)` over its id and its vector.
    slices = spark.sparkContext.parallelize(rounds.slices(n_rows, args.partitions), args.partitions)
    rows = slices.flatMap(lambda part: lines(path, *part))
    program = shlex.quote(args.labelloop)

    def partials_of(order):
        observe = f"{program} zcore - --partial - --quiet --threads 1"
        if order:
            observe += f" --order {shlex.quote(order)}"
        partials = rows.pipe(observe, checkCode=True)
        while partials.getNumPartitions() > 32:
            partials = partials.coalesce(math.ceil(partials.getNumPartitions() / 32))
            partials = partials.pipe(f"{program} zcore merge - --partial - --quiet", checkCode=True)
        return [base64.b64decode(line) for line in partials.collect()]

    rounds.run(args, partials_of)
    spark.stop()


if __name__ == "__main__":
    main()

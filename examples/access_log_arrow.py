"""The same as access_log.py, a batch at a time: Arrow matches, converts and adds up whole columns."""

import pyarrow as pa
import pyarrow.compute as pc

import comporta as c

LINE = (
    r"^(?P<visitor>\S+) \S+ \S+ \[(?P<time>.+?)\] "
    r'"(?P<method>\S+) (?P<path>\S+).*?" (?P<status>\d{3}) (?P<bytes>\d+|-)'
)

pipeline = c.Pipeline(
    "access-log-arrow",
    time_format="%d/%b/%Y:%H:%M:%S %z",
    metrics=[
        c.count("requests", by="status"),
        c.count("requests_by_hour", by="method", every="1h"),
        c.sum("bytes", of="bytes"),
        c.distinct("visitors", of="visitor"),
        c.top("pages", of="path", k=10),
    ],
)


@pipeline.transform_batch
def parse(batch):
    fields = pc.extract_regex(batch["value"].cast("string"), LINE)
    if fields.null_count:  # the batch is halved until the lines that do it are alone, and dead letters
        raise ValueError("not a line of the combined format")
    table = pa.RecordBatch.from_struct_array(fields)
    sizes = pc.replace_substring_regex(table["bytes"], "^-$", "0").cast("int64")
    table = table.set_column(table.schema.get_field_index("bytes"), "bytes", sizes)
    status = table["status"].cast("int64")
    return table.set_column(table.schema.get_field_index("status"), "status", status)

//! Kafka's record batches: cut into slices without a Python object a record batch, and decoded into columns
//! without one a record. Lines of files as such columns; and what a transform makes of records, gathered.
//!
//! Of record batches, only what is well-formed beyond doubt is decoded here. All else is left to the decoder in
//! Python, which judges it, in words: so both come to the same verdicts.

mod arrow;
mod batches;
mod columns;
mod content;
mod lines;
mod lz4_frame;
mod picked;
mod records;
mod slices;

use std::ops::Range;
use std::panic::catch_unwind;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use batches::{RecordBatch, record_batches};
use columns::Columns;
use content::Contents;

/// Where the record batches end that `data` begins with, and of those that reach into [first, next): how many
/// offsets in it their headers show for records, and where half of them follow; None where one is alone.
#[pyfunction]
fn outline(
    py: Python<'_>,
    data: &Bound<'_, PyBytes>,
    first: i128,
    next: i128,
) -> (usize, i64, Option<i64>) {
    let data = data.as_bytes();
    py.detach(|| {
        let range = first..next;
        let (mut end, mut records, mut inside) = (0, 0, Vec::new());
        for batch in record_batches(data, 0) {
            end = batch.end;
            if batch.reaches_into(&range) {
                inside.push(batch.base_offset);
                records += batch.offsets(&range);
            }
        }
        let middle = (inside.len() > 1).then(|| inside[inside.len() / 2]);
        (end, records, middle)
    })
}

/// The records in [first, next) of the record batches that `data` begins with.
///
/// None where any of it is left to Python: what is damaged or odd, and `most` bytes or more once decompressed.
#[pyfunction]
fn decode(
    py: Python<'_>,
    data: &Bound<'_, PyBytes>,
    first: i128,
    next: i128,
    most: i32,
) -> Option<Columns> {
    let data = data.as_bytes();
    // A decoder that panics has met something odd, too.
    py.detach(|| catch_unwind(|| decoded(data, &(first..next), most)))
        .unwrap_or(None)
}

fn decoded(data: &[u8], range: &Range<i128>, most: i32) -> Option<Columns> {
    let mut contents = Contents::new(usize::try_from(most).ok()?);
    let mut columns = Columns::default();
    for batch in inside(data, range) {
        let content = contents.append(batch.compression(), batch.content())?;
        records::read(&batch, contents.bytes(), content, range, &mut columns)?;
    }
    columns.content = contents.into_bytes();
    Some(columns)
}

fn inside<'a>(data: &'a [u8], range: &Range<i128>) -> impl Iterator<Item = RecordBatch<'a>> {
    record_batches(data, 0).filter(|batch| batch.reaches_into(range))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Columns>()?;
    module.add_class::<picked::Picker>()?;
    module.add_function(wrap_pyfunction!(outline, module)?)?;
    module.add_function(wrap_pyfunction!(decode, module)?)?;
    module.add_function(wrap_pyfunction!(lines::lines, module)?)?;
    module.add_function(wrap_pyfunction!(slices::checksum, module)?)?;
    module.add_function(wrap_pyfunction!(slices::is_sliceable, module)?)?;
    module.add_function(wrap_pyfunction!(slices::extend, module)?)
}

//! Kafka's record batches, decoded into columns without a Python object a record.
//!
//! Only what is well-formed beyond doubt is decoded here. All else is left to the decoder in Python, which
//! judges it, in words: so both come to the same verdicts.

mod arrow;
mod columns;
mod content;
mod records;

use std::panic::catch_unwind;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use columns::Columns;
use content::Contents;
use records::Header;

/// The records in [first, next) of the record batches that `data` has at `spans`.
///
/// None where any of it is left to Python: what is damaged or odd, and `most` bytes or more once decompressed.
#[pyfunction]
fn decode(
    py: Python<'_>,
    data: &Bound<'_, PyBytes>,
    spans: Vec<(usize, usize)>,
    first: i64,
    next: i64,
    most: i32,
) -> Option<Columns> {
    let data = data.as_bytes();
    // A decoder that panics has met something odd, too.
    py.detach(|| catch_unwind(|| decoded(data, &spans, first, next, most)))
        .unwrap_or(None)
}

fn decoded(
    data: &[u8],
    spans: &[(usize, usize)],
    first: i64,
    next: i64,
    most: i32,
) -> Option<Columns> {
    let mut contents = Contents::new(usize::try_from(most).ok()?);
    let mut columns = Columns::default();
    for &(begin, end) in spans {
        let (header, compressed) = Header::split(data.get(begin..end)?)?;
        let content = contents.append(header.compression, compressed)?;
        header.read(contents.bytes(), content, first, next, &mut columns)?;
    }
    columns.content = contents.into_bytes();
    Some(columns)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Columns>()?;
    module.add_function(wrap_pyfunction!(decode, module)?)
}

//! What it takes to cut what was fetched of a partition into slices, for many record batches at once.

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::batches::{self, record_batches};

/// The CRC-32C of the bytes from `begin` up to `end`.
#[pyfunction]
pub fn checksum(
    py: Python<'_>,
    data: &Bound<'_, PyBytes>,
    begin: usize,
    end: usize,
) -> PyResult<u32> {
    let bytes = data.as_bytes().get(begin..end);
    let bytes = bytes.ok_or_else(|| PyIndexError::new_err("no such bytes"))?;
    Ok(py.detach(|| crc32c::crc32c(bytes)))
}

/// Whether `data` holds only record batches of magic 2, none of which has more than `most` bytes.
#[pyfunction]
pub fn is_sliceable(py: Python<'_>, data: &Bound<'_, PyBytes>, most: i64) -> bool {
    let data = data.as_bytes();
    py.detach(|| batches::lengths(data).all(|(magic, length)| magic == 2 && length <= most))
}

/// How far a `run` of record batches, so many records from one byte up to another, may reach in a slice that
/// has `bounds`, the offsets where it begins and ends, and `most` bytes and records: where it ends by then, the
/// offset that follows, and how many records it has. None where the next record batch is not to be added, or not
/// without a closer look: it is damaged, empty or a control batch, or lies before the slice.
#[pyfunction]
pub fn extend(
    py: Python<'_>,
    data: &Bound<'_, PyBytes>,
    run: (usize, usize, i64),
    bounds: (i128, Option<i128>),
    most: (usize, i64),
) -> Option<(usize, i128, i64)> {
    let data = data.as_bytes();
    py.detach(|| {
        let (begin, end, mut records) = run;
        let (position, until) = bounds;
        let mut reached = None;
        for batch in record_batches(data, end) {
            let is_full = batch.end - begin > most.0 || records + batch.records() > most.1;
            let is_past_end = until
                .is_some_and(|until| position < until && until <= i128::from(batch.base_offset));
            let is_odd =
                batch.is_control() || batch.records() == 0 || batch.next_offset <= position;
            if is_full || is_past_end || is_odd || !batch.is_undamaged() {
                break;
            }
            records += batch.records();
            reached = Some((batch.end, batch.next_offset, records));
        }
        reached
    })
}

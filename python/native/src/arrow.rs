//! Arrow's buffers, made in Python's own `bytes`, which pyarrow takes without a copy
//! (<https://arrow.apache.org/docs/format/Columnar.html>).

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::columns::Span;

pub type Buffer<'py> = Bound<'py, PyBytes>;
pub type Validity<'py> = (usize, Option<Buffer<'py>>);
pub type Fixed<'py> = (usize, Option<Buffer<'py>>, Buffer<'py>);
pub type Binary<'py> = (usize, Option<Buffer<'py>>, Buffer<'py>, Buffer<'py>);
pub type Headers<'py> = (Fixed<'py>, usize, Binary<'py>, Binary<'py>);

/// How many are not valid, and a bit for each that is; no bits where all are.
pub fn validity(
    py: Python<'_>,
    count: usize,
    is_valid: impl Fn(usize) -> bool + Sync,
) -> PyResult<Validity<'_>> {
    let nulls = py.detach(|| (0..count).filter(|&index| !is_valid(index)).count());
    if nulls == 0 {
        return Ok((0, None));
    }
    let bits = made(py, count.div_ceil(8), |bytes| {
        for index in (0..count).filter(|&index| is_valid(index)) {
            bytes[index / 8] |= 1 << (index % 8);
        }
    })?;
    Ok((nulls, Some(bits)))
}

pub fn numbers<'py>(py: Python<'py>, numbers: &[i64]) -> PyResult<Buffer<'py>> {
    words(py, numbers, i64::to_ne_bytes)
}

/// Numbers of 64 bits, as the machine has them.
pub fn words<'py, Number: Copy + Sync>(
    py: Python<'py>,
    numbers: &[Number],
    bytes_of: fn(Number) -> [u8; 8],
) -> PyResult<Buffer<'py>> {
    made(py, numbers.len() * 8, |bytes| {
        for (bytes, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&bytes_of(*number));
        }
    })
}

/// Where each list ends, with the 0 that goes before.
pub fn ends<'py>(py: Python<'py>, ends: &[i32]) -> PyResult<Buffer<'py>> {
    made(py, (ends.len() + 1) * 4, |bytes| {
        for (bytes, end) in bytes.chunks_exact_mut(4).skip(1).zip(ends) {
            bytes.copy_from_slice(&end.to_ne_bytes());
        }
    })
}

pub fn binary<'py>(py: Python<'py>, content: &[u8], spans: &[Span]) -> PyResult<Binary<'py>> {
    let (nulls, validity) = validity(py, spans.len(), |index| !spans[index].is_none())?;
    let mut end = 0;
    let offsets = made(py, (spans.len() + 1) * 4, |bytes| {
        for (bytes, span) in bytes.chunks_exact_mut(4).skip(1).zip(spans) {
            end += span.len();
            bytes.copy_from_slice(&(end as i32).to_ne_bytes());
        }
    })?;
    let data = made(py, end, |bytes| {
        let mut at = 0;
        for span in spans {
            let some = span.bytes(content).unwrap_or(b"");
            bytes[at..at + some.len()].copy_from_slice(some);
            at += some.len();
        }
    })?;
    Ok((nulls, validity, offsets, data))
}

/// Bytes, zeros at first, that are filled while other threads may run Python.
fn made<'py>(
    py: Python<'py>,
    length: usize,
    fill: impl FnOnce(&mut [u8]) + Send,
) -> PyResult<Buffer<'py>> {
    PyBytes::new_with(py, length, |bytes| {
        py.detach(|| fill(bytes));
        Ok(())
    })
}

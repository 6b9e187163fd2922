//! Records as columns, each of which becomes Python's objects, or Arrow's buffers, when it is asked for.

use std::mem;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::{arrow, content};

/// Where bytes are in the content; or that there are none.
#[derive(Clone, Copy)]
pub struct Span {
    begin: u32,
    end: u32,
}

impl Span {
    pub const NONE: Self = Self { begin: 1, end: 0 };

    pub fn new(begin: usize, end: usize) -> Option<Self> {
        Some(Self {
            begin: begin.try_into().ok()?,
            end: end.try_into().ok()?,
        })
    }

    #[inline]
    pub fn is_none(self) -> bool {
        self.begin > self.end
    }

    #[inline]
    pub fn bytes(self, content: &[u8]) -> Option<&[u8]> {
        content.get(self.begin as usize..self.end as usize)
    }

    #[inline]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.begin) as usize
    }
}

/// The records of some record batches, in order.
#[pyclass(frozen)]
#[derive(Default)]
pub struct Columns {
    pub content: Vec<u8>,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    keys: Vec<Span>,
    values: Vec<Span>,
    /// Where the headers of each record end among those of all.
    header_ends: Vec<i32>,
    header_names: Vec<Span>,
    header_values: Vec<Span>,
}

impl Columns {
    /// Make room for so many records. None where there is too little memory.
    pub fn reserve(&mut self, records: usize) -> Option<()> {
        self.offsets.try_reserve(records).ok()?;
        self.timestamps.try_reserve(records).ok()?;
        self.keys.try_reserve(records).ok()?;
        self.values.try_reserve(records).ok()?;
        self.header_ends.try_reserve(records).ok()
    }

    #[inline]
    pub fn push(&mut self, offset: i64, timestamp: i64, key: Span, value: Span) {
        self.offsets.push(offset);
        self.timestamps.push(timestamp);
        self.keys.push(key);
        self.values.push(value);
        self.header_ends.push(self.header_names.len() as i32);
    }

    /// Add a header of the record that will be added next.
    pub fn push_header(&mut self, name: Span, value: Span) -> Option<()> {
        self.header_names.try_reserve(1).ok()?;
        self.header_values.try_reserve(1).ok()?;
        self.header_names.push(name);
        self.header_values.push(value);
        Some(())
    }

    fn object<'py>(&self, py: Python<'py>, span: Span) -> Option<Bound<'py, PyBytes>> {
        Some(PyBytes::new(py, span.bytes(&self.content)?))
    }

    fn objects<'py>(&self, py: Python<'py>, spans: &[Span]) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, spans.iter().map(|span| self.object(py, *span)))
    }

    fn headers_of<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyList>> {
        let begin = index
            .checked_sub(1)
            .map_or(0, |before| self.header_ends[before]) as usize;
        let end = self.header_ends[index] as usize;
        let pairs = (begin..end)
            .map(|at| {
                let name = self.header_names[at].bytes(&self.content).unwrap_or(b"");
                let name = PyString::from_bytes(py, name)?.into_any();
                let value = self.object(py, self.header_values[at]);
                PyTuple::new(py, [Some(name), value.map(Bound::into_any)])
            })
            .collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, pairs)
    }

    fn timestamp(&self, index: usize, latest: i64) -> Option<i64> {
        let timestamp = self.timestamps[index];
        (0..=latest).contains(&timestamp).then_some(timestamp)
    }
}

impl Drop for Columns {
    fn drop(&mut self) {
        content::spare(mem::take(&mut self.content));
    }
}

#[pymethods]
impl Columns {
    fn __len__(&self) -> usize {
        self.offsets.len()
    }

    /// Those of the records from `begin` up to `end`, or to the last one.
    fn values<'py>(
        &self,
        py: Python<'py>,
        begin: usize,
        end: usize,
    ) -> PyResult<Bound<'py, PyList>> {
        let end = end.min(self.values.len());
        self.objects(py, self.values.get(begin..end).unwrap_or(&[]))
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.objects(py, &self.keys)
    }

    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let lists = (0..self.offsets.len())
            .map(|index| self.headers_of(py, index))
            .collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, lists)
    }

    /// Those from 0 to `latest`; the others are None.
    fn timestamps<'py>(&self, py: Python<'py>, latest: i64) -> PyResult<Bound<'py, PyList>> {
        let indexes = 0..self.offsets.len();
        PyList::new(py, indexes.map(|index| self.timestamp(index, latest)))
    }

    /// The offsets as the machine has integers of 64 bits.
    fn offsets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        arrow::numbers(py, &self.offsets)
    }

    /// How many are null, and Arrow's buffers: validity and numbers.
    fn timestamp_buffers<'py>(&self, py: Python<'py>, latest: i64) -> PyResult<arrow::Fixed<'py>> {
        let is_valid = |index| self.timestamp(index, latest).is_some();
        let (nulls, validity) = arrow::validity(py, self.timestamps.len(), is_valid)?;
        let numbers = arrow::numbers(py, &self.timestamps)?;
        Ok((nulls, validity, numbers))
    }

    /// How many are null, and Arrow's buffers: validity, where each ends, and bytes.
    fn value_buffers<'py>(&self, py: Python<'py>) -> PyResult<arrow::Binary<'py>> {
        arrow::binary(py, &self.content, &self.values)
    }

    /// As of values.
    fn key_buffers<'py>(&self, py: Python<'py>) -> PyResult<arrow::Binary<'py>> {
        arrow::binary(py, &self.content, &self.keys)
    }

    /// How many records have no headers, which are null; validity and where each one's headers end; how many
    /// headers there are; and their names and values.
    fn header_buffers<'py>(&self, py: Python<'py>) -> PyResult<arrow::Headers<'py>> {
        let ends = &self.header_ends;
        let is_valid = |index: usize| {
            ends[index] > index.checked_sub(1).map_or(0, |before: usize| ends[before])
        };
        let (nulls, validity) = arrow::validity(py, ends.len(), is_valid)?;
        Ok((
            (nulls, validity, arrow::ends(py, ends)?),
            self.header_names.len(),
            arrow::binary(py, &self.content, &self.header_names)?,
            arrow::binary(py, &self.content, &self.header_values)?,
        ))
    }
}

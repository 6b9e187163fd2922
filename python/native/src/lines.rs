//! Lines of a file as records.

use memchr::memchr;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::columns::{Columns, Span};
use crate::content::Contents;

const NO_TIMESTAMP: i64 = -1;

/// The lines of a text that is at offset `base`, without their ends, `\n` or `\r\n`; the last one may lack it.
///
/// None where the text is too long.
#[pyfunction]
pub fn lines(py: Python<'_>, text: &Bound<'_, PyBytes>, base: i64) -> Option<Columns> {
    let text = text.as_bytes();
    py.detach(|| cut(text, base))
}

fn cut(text: &[u8], base: i64) -> Option<Columns> {
    let mut contents = Contents::new(text.len() + 1);
    contents.append(0, text)?;
    let mut columns = Columns::default();
    let mut begin = 0;
    while begin < text.len() {
        let rest = &text[begin..];
        let (line, length) = match memchr(b'\n', rest) {
            Some(end) => (
                rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]),
                end + 1,
            ),
            None => (rest, rest.len()),
        };
        let span = Span::new(begin, begin + line.len())?;
        columns.push(
            base.checked_add(begin as i64)?,
            NO_TIMESTAMP,
            Span::NONE,
            span,
        );
        begin += length;
    }
    columns.content = contents.into_bytes();
    Some(columns)
}

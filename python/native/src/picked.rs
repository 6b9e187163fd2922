//! Fields picked out of the rows that a transform makes, gathered in columns.
//!
//! A column is kept as compactly as its values so far allow: integers and floats as such, and as groups what
//! Python's equality tells apart. One value of another type, and it becomes a list of Python's objects.

use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyIterator, PyList, PyString};

use crate::arrow;

/// The index of an input, and what a function made of it, or raised.
type Other<'py> = (
    usize,
    Option<Bound<'py, PyAny>>,
    Option<Bound<'py, PyBaseException>>,
);

/// Picks fields out of rows as they come.
#[pyclass]
pub struct Picker {
    fields: Vec<Py<PyString>>,
    columns: Vec<Column>,
    /// Values of the rows that are being added, in the order of the fields.
    picked: Vec<Py<PyAny>>,
}

#[pymethods]
impl Picker {
    #[new]
    fn new(fields: Vec<Py<PyString>>) -> Self {
        let columns = fields.iter().map(|_| Column::Empty).collect();
        let picked = Vec::with_capacity(fields.len());
        Self {
            fields,
            columns,
            picked,
        }
    }

    /// Add a row; a field that it does not have is None.
    fn add(&mut self, row: &Bound<'_, PyDict>) -> PyResult<()> {
        self.picked.clear();
        self.pick(row)?;
        self.append(row.py())
    }

    /// Add rows: all of them, or none where looking into one raises.
    fn extend(&mut self, py: Python<'_>, rows: Vec<Bound<'_, PyDict>>) -> PyResult<()> {
        self.picked.clear();
        rows.iter().try_for_each(|row| self.pick(row))?;
        self.append(py)
    }

    /// Add the rows that a function makes of inputs, whose first has this index; to `dropped` goes the index of
    /// each of which it makes None. Where it makes anything else, or raises, it is handed back; None at the end.
    fn take<'py>(
        &mut self,
        function: &Bound<'py, PyAny>,
        inputs: &Bound<'py, PyIterator>,
        first: usize,
        dropped: &Bound<'py, PyList>,
    ) -> PyResult<Option<Other<'py>>> {
        let py = function.py();
        for (index, input) in (first..).zip(inputs.clone()) {
            let made = function.call1((input?,)).and_then(|made| {
                if let Ok(row) = made.cast_exact() {
                    return self.add(row).map(|()| None);
                }
                Ok(Some(made))
            });
            match made {
                Ok(None) => {}
                Ok(Some(made)) if made.is_none() => dropped.append(index)?,
                Ok(Some(made)) => return Ok(Some((index, Some(made), None))),
                Err(error) => {
                    let error = error.into_value(py).into_bound(py);
                    return Ok(Some((index, None, Some(error))));
                }
            }
        }
        Ok(None)
    }

    /// Each field's column: a list of values; or numbers of 64 bits, and numpy's name of their type; or the
    /// number of each row's group, as integers of 64 bits, and the values by which groups are told apart.
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.columns
            .iter()
            .map(|column| column.finished(py))
            .collect()
    }
}

impl Picker {
    #[inline]
    fn pick(&mut self, row: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = row.py();
        for field in &self.fields {
            let value = row.get_item(field.bind(py))?;
            self.picked
                .push(value.map_or_else(|| py.None(), Bound::unbind));
        }
        Ok(())
    }

    #[inline]
    fn append(&mut self, py: Python<'_>) -> PyResult<()> {
        let mut values = self.picked.drain(..);
        while values.len() > 0 {
            for (column, value) in self.columns.iter_mut().zip(&mut values) {
                column.append(value.into_bound(py))?;
            }
        }
        Ok(())
    }
}

enum Column {
    Empty,
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Groups(Groups),
    Objects(Py<PyList>),
}

impl Column {
    #[inline]
    fn append(&mut self, value: Bound<'_, PyAny>) -> PyResult<()> {
        match self {
            Self::Integers(numbers) => {
                if let Some(number) = integer(&value) {
                    numbers.push(number);
                    return Ok(());
                }
            }
            Self::Floats(numbers) => {
                if let Some(number) = float(&value) {
                    numbers.push(number);
                    return Ok(());
                }
            }
            Self::Groups(groups) => {
                if groups.admits(&value) {
                    return groups.append(value);
                }
            }
            Self::Objects(values) => return values.bind(value.py()).append(value),
            Self::Empty => return self.begin(value),
        }
        let values = self.values(value.py())?;
        values.append(&value)?;
        *self = Self::Objects(values.unbind());
        Ok(())
    }

    fn begin(&mut self, value: Bound<'_, PyAny>) -> PyResult<()> {
        *self = if integer(&value).is_some() {
            Self::Integers(Vec::new())
        } else if float(&value).is_some() {
            Self::Floats(Vec::new())
        } else {
            Self::Groups(Groups::new(value.py()))
        };
        self.append(value)
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        match self {
            Self::Empty => Ok(PyList::empty(py)),
            Self::Integers(numbers) => PyList::new(py, numbers),
            Self::Floats(numbers) => PyList::new(py, numbers),
            Self::Groups(groups) => groups.values(py),
            Self::Objects(values) => Ok(values.bind(py).clone()),
        }
    }

    fn finished<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Integers(numbers) => {
                let numbers = arrow::numbers(py, numbers)?;
                Ok((numbers, "int64").into_pyobject(py)?.into_any())
            }
            Self::Floats(numbers) => {
                let numbers = arrow::words(py, numbers, f64::to_ne_bytes)?;
                Ok((numbers, "float64").into_pyobject(py)?.into_any())
            }
            Self::Groups(groups) => {
                let indexes = arrow::numbers(py, &groups.indexes)?;
                let identities = groups.numbers.bind(py).keys();
                Ok((indexes, identities).into_pyobject(py)?.into_any())
            }
            Self::Empty | Self::Objects(_) => Ok(self.values(py)?.into_any()),
        }
    }
}

/// A column of what equality alone tells apart: texts, integers and None; or bytes and None; or bools and None.
struct Groups {
    kind: Option<Kind>,
    /// The group of each row.
    indexes: Vec<i64>,
    /// The number of each value's group, in the order of these.
    numbers: Py<PyDict>,
    /// The latest value, and its group: often the next one is the same object.
    latest: Option<(Py<PyAny>, i64)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Bytes,
    Bool,
}

impl Groups {
    fn new(py: Python<'_>) -> Self {
        Self {
            kind: None,
            indexes: Vec::new(),
            numbers: PyDict::new(py).unbind(),
            latest: None,
        }
    }

    /// Whether equality tells that value from the others. Of one that it is not, nothing is kept.
    #[inline]
    fn admits(&mut self, value: &Bound<'_, PyAny>) -> bool {
        let kind = if value.is_none() {
            return true;
        } else if value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyInt>()
        {
            Kind::Text
        } else if value.is_exact_instance_of::<PyBytes>() {
            Kind::Bytes
        } else if value.is_exact_instance_of::<PyBool>() {
            Kind::Bool
        } else {
            return false;
        };
        *self.kind.get_or_insert(kind) == kind
    }

    #[inline]
    fn append(&mut self, value: Bound<'_, PyAny>) -> PyResult<()> {
        let index = match &self.latest {
            Some((latest, index)) if latest.is(&value) => *index,
            _ => self.number(value)?,
        };
        self.indexes.push(index);
        Ok(())
    }

    fn number(&mut self, value: Bound<'_, PyAny>) -> PyResult<i64> {
        let numbers = self.numbers.bind(value.py());
        let index = match numbers.get_item(&value)? {
            Some(index) => index.extract()?,
            None => {
                let index = numbers.len() as i64;
                numbers.set_item(&value, index)?;
                index
            }
        };
        self.latest = Some((value.unbind(), index));
        Ok(index)
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let identities = self.numbers.bind(py).keys();
        let values = PyList::empty(py);
        for &index in &self.indexes {
            values.append(identities.get_item(index as usize)?)?;
        }
        Ok(values)
    }
}

/// An integer of Python's own type that has 64 bits.
#[inline]
fn integer(value: &Bound<'_, PyAny>) -> Option<i64> {
    value
        .is_exact_instance_of::<PyInt>()
        .then(|| value.extract().ok())?
}

#[inline]
fn float(value: &Bound<'_, PyAny>) -> Option<f64> {
    value
        .is_exact_instance_of::<PyFloat>()
        .then(|| value.extract().ok())?
}

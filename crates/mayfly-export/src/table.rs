//! Tables of plain columns as Parquet, for tools that analyse. Written aside, then renamed; memory
//! is that of one row group.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use crate::ExportError;
use crate::aside::{Aside, Written};

/// Rows held in memory until they are written.
const GROUP_ROWS: usize = 64 * 1024;

/// What a column holds. Every value may be absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// Whole numbers.
    Number,
    /// Days since 1970-01-01.
    Date,
    /// Milliseconds since 1970, UTC.
    Instant,
}

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cell {
    /// None.
    Absent,
    /// Of [`Kind::Text`].
    Text(Box<str>),
    /// Of any other kind.
    Number(i64),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Absent } else { Self::Text(text.into()) }
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Absent, Self::Number)
    }
}

/// A file with rows.
pub struct TableWriter {
    path: std::path::PathBuf,
    out: SerializedFileWriter<Aside>,
    kinds: Vec<Kind>,
    rows: Vec<Vec<Cell>>,
    written: u64,
}

/// What was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// Hex of its SHA-256.
    pub sha256: String,
}

impl TableWriter {
    /// Begins a file with these columns; its folder is made where it is missing.
    ///
    /// # Errors
    /// [`ExportError::File`].
    pub fn create(path: &Path, columns: &[(&str, Kind)]) -> Result<Self, ExportError> {
        let failed = |source| ExportError::File { path: path.to_owned(), source };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let begin = || {
            let level = ZstdLevel::try_new(3)?;
            let properties =
                WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
            let fields = columns.iter().map(|(name, kind)| column(name, *kind));
            let fields = fields.collect::<Result<Vec<_>, ParquetError>>()?;
            let schema = Type::group_type_builder("row").with_fields(fields).build()?;
            Ok((Arc::new(schema), Arc::new(properties)))
        };
        let (schema, properties) = begin().map_err(|error: ParquetError| failed(io(error)))?;
        let file = Aside::create(path).map_err(failed)?;
        let out = SerializedFileWriter::new(file, schema, properties);
        let out = out.map_err(|error| failed(io(error)))?;
        let kinds = columns.iter().map(|(_, kind)| *kind).collect();
        Ok(Self { path: path.to_owned(), out, kinds, rows: Vec::new(), written: 0 })
    }

    /// Adds a row: as many values as there are columns, each of its column's kind or absent.
    ///
    /// # Errors
    /// [`ExportError::File`]; nothing of the file will be there.
    pub fn push(&mut self, row: Vec<Cell>) -> Result<(), ExportError> {
        self.rows.push(row);
        self.written += 1;
        if self.rows.len() < GROUP_ROWS {
            return Ok(());
        }
        let path = self.path.clone();
        self.group().map_err(|error| ExportError::File { path, source: io(error) })
    }

    fn group(&mut self) -> Result<(), ParquetError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.out.next_row_group()?;
        for (at, kind) in self.kinds.iter().enumerate() {
            let Some(mut column) = group.next_column()? else { continue };
            let cells = || rows.iter().map(|row| row.get(at).unwrap_or(&Cell::Absent));
            let levels: Vec<i16> = cells().map(|cell| i16::from(*cell != Cell::Absent)).collect();
            let numbers = cells().filter_map(|cell| match cell {
                Cell::Number(number) => Some(*number),
                Cell::Absent | Cell::Text(_) => None,
            });
            match kind {
                Kind::Text => {
                    let texts: Vec<ByteArray> = cells().filter_map(text).collect();
                    column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None)?;
                }
                Kind::Number | Kind::Instant => {
                    let all: Vec<i64> = numbers.collect();
                    column.typed::<Int64Type>().write_batch(&all, Some(&levels), None)?;
                }
                Kind::Date => {
                    let days = numbers.map(|n| i32::try_from(n).unwrap_or(i32::MAX));
                    let all: Vec<i32> = days.collect();
                    column.typed::<Int32Type>().write_batch(&all, Some(&levels), None)?;
                }
            }
            column.close()?;
        }
        group.close().map(drop)
    }

    /// Ends the file, and gives it its name.
    ///
    /// # Errors
    /// [`ExportError::File`].
    pub fn finish(mut self) -> Result<Table, ExportError> {
        let (path, rows) = (self.path.clone(), self.written);
        let failed = |source| ExportError::File { path, source };
        let done = self.group().and_then(|()| self.out.into_inner()).map_err(io);
        let Written { bytes, sha256 } = done.and_then(Aside::commit).map_err(failed)?;
        Ok(Table { rows, bytes, sha256 })
    }
}

fn text(cell: &Cell) -> Option<ByteArray> {
    match cell {
        Cell::Text(text) => Some(ByteArray::from(&**text)),
        Cell::Absent | Cell::Number(_) => None,
    }
}

fn column(name: &str, kind: Kind) -> Result<Arc<Type>, ParquetError> {
    let (physical, logical) = match kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Number => (Physical::INT64, None),
        Kind::Date => (Physical::INT32, Some(LogicalType::Date)),
        Kind::Instant => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MILLIS))),
    };
    Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
        .map(Arc::new)
}

/// What the system said, where it was the system.
pub(crate) fn io(error: ParquetError) -> io::Error {
    let ParquetError::External(source) = error else { return io::Error::other(error) };
    match source.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(source) => io::Error::other(source),
    }
}

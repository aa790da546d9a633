//! Rows of changes as columns.

use std::io;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::rows::pairs;
use crate::aside::Aside;
use crate::batch::{Batch, UserChange};
use crate::table::io as failed;

/// Rows held in memory until they are written as a row group.
const GROUP_ROWS: usize = 256 * 1024;

/// A file of rows: `uid`, `segment`, `op`, `expires`.
pub(super) struct Rows {
    out: SerializedFileWriter<Aside>,
    uids: Vec<ByteArray>,
    segments: Vec<ByteArray>,
    ops: Vec<ByteArray>,
    /// Those of adds; the others have none.
    expires: Vec<i64>,
    /// 1 where there is one.
    levels: Vec<i16>,
}

impl Rows {
    pub(super) fn new(file: Aside) -> io::Result<Self> {
        let level = ZstdLevel::try_new(3).map_err(failed)?;
        let properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let schema = schema().map_err(failed)?;
        let out = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(failed)?;
        Ok(Self {
            out,
            uids: Vec::new(),
            segments: Vec::new(),
            ops: Vec::new(),
            expires: Vec::new(),
            levels: Vec::new(),
        })
    }

    /// Adds a visitor's rows; answers how many, and about how many bytes they are.
    pub(super) fn push(&mut self, batch: &Batch, change: &UserChange) -> io::Result<(u64, u64)> {
        let (mut rows, mut bytes) = (0, 0);
        for (segment, op, expires) in pairs(batch, change) {
            self.uids.push(ByteArray::from(&*change.uid));
            self.segments.push(ByteArray::from(segment));
            self.ops.push(ByteArray::from(op));
            self.levels.push(i16::from(expires.is_some()));
            self.expires.extend(expires);
            rows += 1;
            bytes += (change.uid.len() + segment.len() + op.len() + 8) as u64;
        }
        if self.uids.len() >= GROUP_ROWS {
            self.group().map_err(failed)?;
        }
        Ok((rows, bytes))
    }

    /// Writes the rows out that are held.
    fn group(&mut self) -> Result<(), ParquetError> {
        if self.uids.is_empty() {
            return Ok(());
        }
        let mut group = self.out.next_row_group()?;
        for texts in [&mut self.uids, &mut self.segments, &mut self.ops] {
            if let Some(mut column) = group.next_column()? {
                column.typed::<ByteArrayType>().write_batch(texts, None, None)?;
                column.close()?;
            }
            texts.clear();
        }
        if let Some(mut column) = group.next_column()? {
            column.typed::<Int64Type>().write_batch(&self.expires, Some(&self.levels), None)?;
            column.close()?;
        }
        self.expires.clear();
        self.levels.clear();
        group.close()?;
        Ok(())
    }

    /// Ends the file; it has no name yet.
    pub(super) fn finish(mut self) -> io::Result<Aside> {
        self.group().map_err(failed)?;
        self.out.into_inner().map_err(failed)
    }
}

fn schema() -> Result<Arc<Type>, ParquetError> {
    let text = |name| {
        Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(Some(LogicalType::String))
            .build()
            .map(Arc::new)
    };
    let instant = LogicalType::timestamp(true, TimeUnit::MILLIS);
    let expires = Type::primitive_type_builder("expires", Physical::INT64)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(instant))
        .build()?;
    let columns = vec![text("uid")?, text("segment")?, text("op")?, Arc::new(expires)];
    Type::group_type_builder("change").with_fields(columns).build().map(Arc::new)
}

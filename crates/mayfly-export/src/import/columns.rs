//! Parquet files.

use std::fs::File;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::lines::row;
use super::{BadRow, ImportError, Read1};

/// The columns that are read.
const COLUMNS: [&str; 3] = ["uid", "segment", "op"];

/// Reads a file, a row at a time; its other columns are passed over.
pub(super) fn read(file: File, each: &mut dyn FnMut(Read1) -> bool) -> Result<(), ImportError> {
    let file = SerializedFileReader::new(file)?;
    let schema = file.metadata().file_metadata().schema();
    let fields = schema.get_fields().iter();
    let fields: Vec<_> = fields.filter(|own| COLUMNS.contains(&own.name())).cloned().collect();
    if !fields.iter().any(|own| own.name() == "uid" && own.is_primitive()) {
        return Err(ParquetError::General("it has other columns".to_owned()).into());
    }
    let some = Type::group_type_builder(schema.name()).with_fields(fields).build()?;
    for (number, read) in (1..).zip(file.get_row_iter(Some(some))?) {
        let (read, mut found) = (read?, [const { None }; COLUMNS.len()]);
        for (name, value) in read.get_column_iter() {
            let place = COLUMNS.iter().position(|own| own == name);
            if let Some(place) = place.and_then(|at| found.get_mut(at)) {
                *place = Some(value);
            }
        }
        let [uid, segment, op] = found.map(|value| value.map(text));
        let all = (uid.flatten(), segment.flatten(), op.flatten());
        let row = match &all {
            (Some(uid), segment, op) => row(uid, segment.as_deref(), op.as_deref()),
            (None, _, _) => Err(BadRow::BadId),
        };
        if !each(row.map_err(|bad| (number, bad))) {
            break;
        }
    }
    Ok(())
}

/// A text, or a whole number as one.
fn text(value: &Field) -> Option<String> {
    match value {
        Field::Str(text) => Some(text.clone()),
        Field::Bytes(bytes) => bytes.as_utf8().ok().map(str::to_owned),
        Field::Byte(n) => Some(n.to_string()),
        Field::UByte(n) => Some(n.to_string()),
        Field::Short(n) => Some(n.to_string()),
        Field::UShort(n) => Some(n.to_string()),
        Field::Int(n) => Some(n.to_string()),
        Field::Long(n) => Some(n.to_string()),
        Field::UInt(n) => Some(n.to_string()),
        Field::ULong(n) => Some(n.to_string()),
        Field::Null
        | Field::Bool(_)
        | Field::Float16(_)
        | Field::Float(_)
        | Field::Double(_)
        | Field::Decimal(_)
        | Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_)
        | Field::Group(_)
        | Field::ListInternal(_)
        | Field::MapInternal(_) => None,
    }
}

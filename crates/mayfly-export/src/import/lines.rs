//! Files of lines.

use std::io::{BufRead, Read};

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use mayfly_core::limits;
use serde::Deserialize;

use super::{BadRow, ImportError, ImportRow, Read1, is_uid};

/// Columns of a line at most.
const COLUMNS: usize = 64;

/// Gives each line with its number, without its end; `each` says whether to go on.
fn each_line(
    mut from: Box<dyn BufRead>,
    mut each: impl FnMut(u64, Result<&str, BadRow>) -> Result<bool, ImportError>,
) -> Result<(), ImportError> {
    let (mut line, mut number, mut bytes) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let most = limits::IMPORT_LINE_BYTES as u64 + 1;
        let read = from.by_ref().take(most).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        bytes += read as u64;
        let is_long = read as u64 == most && line.last() != Some(&b'\n');
        if is_long {
            bytes += skip_line(&mut from)?;
        }
        if bytes > limits::IMPORT_UNPACKED_BYTES {
            return Err(ImportError::TooLarge);
        }
        while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            line.pop();
        }
        let own = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf") } else { None };
        let text = std::str::from_utf8(own.unwrap_or(&line)).map_err(|_| BadRow::NotText);
        let text = if is_long { Err(BadRow::TooLong) } else { text };
        let is_empty = text.is_ok_and(|text| text.trim().is_empty());
        if !is_empty && !each(number, text)? {
            return Ok(());
        }
    }
}

/// Reads on to the end of a line; how many bytes that are.
fn skip_line(from: &mut dyn BufRead) -> std::io::Result<u64> {
    let mut skipped = 0;
    loop {
        let some = from.fill_buf()?;
        let (length, is_end) = match some.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (some.len(), some.is_empty()),
        };
        from.consume(length);
        skipped += length as u64;
        if is_end {
            return Ok(skipped);
        }
    }
}

/// CSV, or the same between tabs (RFC 4180, but a value holds no line break).
pub(super) fn table(
    from: Box<dyn BufRead>,
    between: u8,
    each: &mut dyn FnMut(Read1) -> bool,
) -> Result<(), ImportError> {
    let mut reader = ReaderBuilder::new().delimiter(between).build();
    let mut values = Values { text: Vec::new(), ends: [0; COLUMNS] };
    let mut places: Option<Places> = None;
    each_line(from, |number, line| {
        let found = line.and_then(|line| values.read(&mut reader, line).ok_or(BadRow::Columns));
        let Some(places) = &places else {
            let found = found.map_err(|_| ImportError::Header)?;
            places = Some(Places::of(&found).ok_or(ImportError::Header)?);
            return Ok(true);
        };
        let row = found.and_then(|found| places.row(&found));
        Ok(each(row.map_err(|bad| (number, bad))))
    })?;
    // Not even a header.
    places.map(drop).ok_or(ImportError::Header)
}

/// The values of a line, one after the other.
struct Values {
    text: Vec<u8>,
    ends: [usize; COLUMNS],
}

impl Values {
    fn read(&mut self, reader: &mut Reader, line: &str) -> Option<Vec<&str>> {
        reader.reset();
        self.text.resize(line.len() + 1, 0);
        let (done, _, written, columns) =
            reader.read_record(line.as_bytes(), &mut self.text, &mut self.ends);
        let (ReadRecordResult::InputEmpty, room) = (done, self.text.get_mut(written..)?) else {
            return None;
        };
        // The end of the line; within quotes it is none.
        let ends = self.ends.get_mut(columns..)?;
        let (ReadRecordResult::Record, _, _, last) = reader.read_record(b"\n", room, ends) else {
            return None;
        };
        let mut from = 0;
        let ends = self.ends.get(..columns + last)?.iter();
        let value = |end: &usize| {
            let value = self.text.get(std::mem::replace(&mut from, *end)..*end)?;
            std::str::from_utf8(value).ok()
        };
        ends.map(value).collect()
    }
}

/// Where columns stand.
struct Places {
    columns: usize,
    uid: usize,
    segment: Option<usize>,
    op: Option<usize>,
}

impl Places {
    fn of(names: &[&str]) -> Option<Self> {
        let place = |wanted: &[&str]| {
            let is_it = |name: &&str| wanted.contains(&&*name.trim().to_ascii_lowercase());
            names.iter().position(is_it)
        };
        Some(Self {
            columns: names.len(),
            uid: place(&["uid", "id", "user_id"])?,
            segment: place(&["segment", "code", "audience"]),
            op: place(&["op"]),
        })
    }

    fn row(&self, values: &[&str]) -> Result<ImportRow, BadRow> {
        if values.len() != self.columns {
            return Err(BadRow::Columns);
        }
        let value = |at: usize| values.get(at).copied().unwrap_or_default();
        row(value(self.uid), self.segment.map(value), self.op.map(value))
    }
}

/// One pair, as a line says it.
pub(super) fn row(uid: &str, code: Option<&str>, op: Option<&str>) -> Result<ImportRow, BadRow> {
    if !is_uid(uid) {
        return Err(BadRow::BadId);
    }
    if code.is_some_and(|code| code.len() > limits::PARTNER_UID_BYTES) {
        return Err(BadRow::BadCode);
    }
    let is_in = match op {
        None | Some("" | "add") => true,
        Some("remove") => false,
        Some(_) => return Err(BadRow::BadOp),
    };
    Ok(ImportRow { uid: uid.into(), code: code.map(Into::into), is_in })
}

/// A line of JSON.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(borrow)]
    uid: std::borrow::Cow<'l, str>,
    #[serde(default)]
    add: Option<Vec<Segment>>,
    #[serde(default)]
    remove: Option<Vec<Segment>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Segment {
    Code(Box<str>),
    Row { segment: Box<str> },
}

impl Segment {
    fn code(self) -> Box<str> {
        match self {
            Self::Code(code) | Self::Row { segment: code } => code,
        }
    }
}

/// JSON Lines.
pub(super) fn json(
    from: Box<dyn BufRead>,
    each: &mut dyn FnMut(Read1) -> bool,
) -> Result<(), ImportError> {
    each_line(from, |number, line| {
        let read = line.and_then(|line| {
            let own: Line<'_> = serde_json::from_str(line).map_err(|_| BadRow::NotJson)?;
            if is_uid(&own.uid) { Ok(own) } else { Err(BadRow::BadId) }
        });
        let own = match read {
            Ok(own) => own,
            Err(bad) => return Ok(each(Err((number, bad)))),
        };
        let uid: Box<str> = own.uid.into();
        if own.add.is_none() && own.remove.is_none() {
            return Ok(each(Ok(ImportRow { uid, code: None, is_in: true })));
        }
        let adds = own.add.into_iter().flatten().map(|own| (own, true));
        let removes = own.remove.into_iter().flatten().map(|own| (own, false));
        let op = |is_in| Some(if is_in { "add" } else { "remove" });
        let read = |(own, is_in): (Segment, bool)| row(&uid, Some(&own.code()), op(is_in));
        Ok(adds.chain(removes).all(|own| each(read(own).map_err(|bad| (number, bad)))))
    })
}

/// Adobe's inbound files.
pub(super) fn adobe(
    from: Box<dyn BufRead>,
    each: &mut dyn FnMut(Read1) -> bool,
) -> Result<(), ImportError> {
    each_line(from, |number, line| {
        let parts = line.and_then(|line| line.split_once('\t').ok_or(BadRow::BadEntry));
        let (uid, entries) = match parts {
            // Adobe's rule: no colon, as it stands or encoded.
            Ok((uid, _)) if !is_uid(uid) || uid.contains(':') || uid.contains("%3A") => {
                return Ok(each(Err((number, BadRow::BadId))));
            }
            Ok(parts) => parts,
            Err(bad) => return Ok(each(Err((number, bad)))),
        };
        Ok(entries.split(',').all(|own| {
            let found = entry(own.trim()).ok_or(BadRow::BadEntry);
            let op = |is_in| Some(if is_in { "add" } else { "remove" });
            let read = found.and_then(|(code, is_in)| row(uid, Some(code), op(is_in)));
            each(read.map_err(|bad| (number, bad)))
        }))
    })
}

/// The trait of an entry, and whether the visitor is in it. None for raw signals: no rule of ours
/// looks at them.
fn entry(text: &str) -> Option<(&str, bool)> {
    let (code, is_in) = if let Some(code) = text.strip_prefix("d_sid=") {
        (code, true)
    } else if let Some(code) = text.strip_prefix("d_unsid=") {
        (code, false)
    } else if let Some(code) = text.strip_prefix("ic=") {
        (code, true)
    } else if let Some((code, "0" | "-1")) = text.split_once(':') {
        (code, false)
    } else {
        (text, text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_sound = !code.is_empty() && !code.contains(['"', '=', ':']);
    (is_sound && (is_in || text.len() > code.len())).then_some((code, is_in))
}

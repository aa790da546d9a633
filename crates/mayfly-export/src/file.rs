//! Writing an audience to a file. Memory is bounded by the bitmaps, not by the members.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mayfly_core::{Partition, Retention, Timestamp, Visitor};
use roaring::{RoaringBitmap, RoaringTreemap};

use crate::ExportError;
use crate::aside::{Aside, Written};
use crate::manifest::{Manifest, ManifestFile};

/// Formats of files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// A header `visitor`, then one `partition.ordinal` a line.
    Csv,
    /// One `{"visitor":"partition.ordinal"}` a line.
    Jsonl,
    /// Portable 64-bit roaring (RoaringFormatSpec, "64-bit implementations"):
    /// partition × 2^32 + ordinal.
    Roaring,
}

impl Format {
    /// Reads a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Csv, Self::Jsonl, Self::Roaring].into_iter().find(|f| f.label() == name)
    }

    /// Its name, and the files' ending.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Roaring => "roaring",
        }
    }
}

/// A segment with its members.
#[derive(Clone, Debug)]
pub struct Audience {
    /// The segment's name.
    pub segment: String,
    /// Its stable id.
    pub segment_id: u32,
    /// The definitions version it was evaluated under.
    pub version: u32,
    /// Its members.
    pub members: Vec<(Partition, RoaringBitmap)>,
}

/// Where the audiences come from, and as of when.
#[derive(Clone, Debug)]
pub struct Source {
    /// The realm's name.
    pub realm: String,
    /// The store's id.
    pub store: String,
    /// The instant the members are exact for.
    pub as_of: Timestamp,
    /// The store's retention.
    pub retention: Retention,
}

/// Writes each audience to a file in `folder` (made when missing) and then the manifest; answers
/// the manifest and its path.
///
/// # Errors
/// [`ExportError::File`]; files that were begun are removed, finished ones without a manifest may
/// stay and are overwritten by the next run.
pub fn export(
    folder: &Path,
    audiences: &[Audience],
    format: Format,
    source: &Source,
) -> Result<(Manifest, PathBuf), ExportError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ExportError::File { path, source }
    };
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let stamp = source.as_of.secs();
    let mut files = Vec::with_capacity(audiences.len());
    for audience in audiences {
        let stem = format!("{}-{}-{stamp}", file_name(&audience.segment), audience.segment_id);
        let name = format!("{stem}.{}", format.label());
        let path = folder.join(&name);
        let (bytes, sha256) =
            write_aside(&path, |out| write_members(out, &audience.members, format))
                .map_err(failed(&path))?;
        let members = audience.members.iter().map(|(_, m)| m.len()).sum();
        files.push(ManifestFile {
            name,
            segment: audience.segment.clone(),
            segment_id: audience.segment_id,
            version: audience.version,
            format: format.label().to_owned(),
            members,
            lines: if format == Format::Roaring { 0 } else { members },
            bytes,
            sha256,
        });
    }
    let day = source.as_of.day().unwrap_or_default();
    let manifest = Manifest {
        format: 1,
        realm: source.realm.clone(),
        store: source.store.clone(),
        id_space: "visitor".to_owned(),
        consent_checked: false,
        as_of_ms: source.as_of.millis(),
        delete_by_ms: source.retention.expires_at(day).millis(),
        files,
    };
    let path = manifest.write(folder, &format!("export-{stamp}"))?;
    Ok((manifest, path))
}

/// Writes a file aside, and answers size and hash.
fn write_aside(
    path: &Path,
    write: impl FnOnce(&mut Aside) -> io::Result<()>,
) -> io::Result<(u64, String)> {
    let mut out = Aside::create(path)?;
    write(&mut out)?;
    out.commit().map(|Written { bytes, sha256 }| (bytes, sha256))
}

fn write_members(
    out: &mut impl Write,
    members: &[(Partition, RoaringBitmap)],
    format: Format,
) -> io::Result<()> {
    let visitors = members.iter().flat_map(|(partition, ordinals)| {
        ordinals.iter().map(|ordinal| Visitor { partition: *partition, ordinal })
    });
    match format {
        Format::Csv => {
            out.write_all(b"visitor\n")?;
            visitors.into_iter().try_for_each(|v| writeln!(out, "{v}"))
        }
        Format::Jsonl => {
            visitors.into_iter().try_for_each(|v| writeln!(out, "{{\"visitor\":\"{v}\"}}"))
        }
        Format::Roaring => {
            let all = members.iter().map(|(p, m)| (u32::from(p.0), m.clone()));
            RoaringTreemap::from_bitmaps(all).serialize_into(out)
        }
    }
}

/// A segment's name as part of a file name: letters, digits, `-` and `_` stay. The segment's id
/// beside it keeps two names apart that look alike then.
fn file_name(name: &str) -> String {
    name.chars()
        .take(80)
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::aside::hex;
    use crate::manifest::overdue;

    fn audience() -> Audience {
        let members = vec![
            (Partition(0), RoaringBitmap::from_iter([1, 5])),
            (Partition(3), RoaringBitmap::from_iter([7])),
        ];
        Audience { segment: "a/b \"c\"".into(), segment_id: 4, version: 2, members }
    }

    fn source() -> Source {
        Source {
            realm: "main".into(),
            store: "00".into(),
            as_of: Timestamp::from_secs(1_795_255_200),
            retention: Retention::default(),
        }
    }

    fn run(format: Format) -> (tempfile::TempDir, Manifest, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let (manifest, _) = export(folder.path(), &[audience()], format, &source()).unwrap();
        let bytes = fs::read(folder.path().join(&manifest.files[0].name)).unwrap();
        (folder, manifest, bytes)
    }

    #[test]
    fn lines_and_hash_are_those_of_the_file() {
        let (folder, manifest, bytes) = run(Format::Csv);
        assert_eq!(bytes, b"visitor\n0.1\n0.5\n3.7\n");
        let file = &manifest.files[0];
        assert_eq!((file.lines, file.members, file.bytes), (3, 3, bytes.len() as u64));
        assert_eq!(file.sha256, hex(&Sha256::digest(&bytes)));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "file and manifest, nothing aside");
        assert_eq!(
            run(Format::Jsonl).2,
            b"{\"visitor\":\"0.1\"}\n{\"visitor\":\"0.5\"}\n{\"visitor\":\"3.7\"}\n"
        );
    }

    #[test]
    fn roaring_is_the_portable_64_bit_format() {
        let read = RoaringTreemap::deserialize_from(&run(Format::Roaring).2[..]).unwrap();
        let ids: Vec<u64> = read.iter().collect();
        assert_eq!(ids, [1, 5, (3 << 32) + 7]);
    }

    #[test]
    fn files_are_overdue_from_the_end_of_the_retention_on() {
        let (folder, manifest, _) = run(Format::Csv);
        let by = manifest.delete_by_ms;
        assert_eq!(by, source().retention.expires_at(source().as_of.day().unwrap()).millis());
        assert!(overdue(folder.path(), by - 1).unwrap().is_empty());
        assert_eq!(overdue(folder.path(), by).unwrap().len(), 1);
    }
}

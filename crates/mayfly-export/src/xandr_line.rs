//! Lines of Xandr's batch segment files.
//!
//! Source: Microsoft Monetize, "Legacy BSS file format": `UID SEP1 seg [SEP2 seg …] [SEP5 DOMAIN]`,
//! a segment being fields in an agreed order between SEP3. A removal is an expiration of -1.

use std::fmt::Write as _;

use mayfly_segments::destination::way::{Field, XandrLayout};

use crate::batch::{Batch, UserChange};

/// Segments on one line.
const SEGMENTS_PER_LINE: usize = 1800;
/// The longest a membership lives, minutes.
const MINUTES_MAX: u32 = 259_200;

/// The lines of a visitor, appended.
pub(crate) fn write(layout: &XandrLayout, out: &mut String, batch: &Batch, change: &UserChange) {
    let add = change.adds.iter().map(|add| {
        // 0 would mean 180 days.
        let minutes = (add.ttl_s / 60).clamp(1, MINUTES_MAX);
        (add.segment, i64::from(minutes))
    });
    // Without an expiration a removal would read as an addition.
    let removes = change.removes.iter().filter(|_| layout.can_remove());
    let all: Vec<_> = add.chain(removes.map(|own| (*own, -1))).collect();
    for line in all.chunks(SEGMENTS_PER_LINE) {
        out.push_str(&change.uid);
        for (at, (segment, minutes)) in line.iter().enumerate() {
            out.push(if at == 0 { layout.separator_1 } else { layout.separator_2 });
            write_segment(layout, out, batch, (*segment, *minutes));
        }
        if let Some(domain) = layout.domain {
            out.push(layout.separator_5);
            number(out, i64::from(domain));
        }
        out.push('\n');
    }
}

fn write_segment(
    layout: &XandrLayout,
    out: &mut String,
    batch: &Batch,
    (segment, minutes): (usize, i64),
) {
    for (at, field) in layout.fields.iter().enumerate() {
        if at > 0 {
            out.push(layout.separator_3);
        }
        match field {
            Field::Segment => out.push_str(batch.code(segment)),
            Field::Expiration => number(out, minutes),
            Field::Timestamp => number(out, batch.now.secs()),
            Field::Value => out.push('0'),
            Field::Member => number(out, i64::from(layout.member)),
        }
    }
}

/// Whether an id can stand in a line: nothing in it separates.
pub(crate) fn takes(layout: &XandrLayout, uid: &str) -> bool {
    let XandrLayout { separator_1, separator_2, separator_3, separator_5, .. } = layout;
    let separators = [*separator_1, *separator_2, *separator_3, *separator_5, '\t'];
    // The files are Latin-1; ids are plain.
    let is_plain = uid.bytes().all(|byte| byte.is_ascii_graphic());
    !uid.is_empty() && is_plain && !uid.contains(separators)
}

fn number(out: &mut String, number: i64) {
    // A text takes every number.
    write!(out, "{number}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use mayfly_core::Timestamp;

    use super::*;
    use crate::batch::{Add, SegmentKey};

    #[test]
    fn lines_are_those_of_the_documented_grammar() {
        let segments =
            ["4401", "4402"].map(|code| SegmentKey { code: code.into(), name: "".into() });
        let now = Timestamp::from_secs(1_767_693_600);
        let batch = Batch { id: "1".into(), now, segments: segments.to_vec(), changes: Vec::new() };
        let own = UserChange { uid: "5912333222111000999".into(), ..UserChange::default() };
        let device =
            UserChange { uid: "0a1b2c3d-1111-2222-3333-444455556666".into(), ..own.clone() };
        let month = Add { segment: 0, ttl_s: 43_200 * 60 };
        let quarter = Add { segment: 1, ttl_s: 129_600 * 60 };
        let line = |layout: &XandrLayout, change: &UserChange| {
            let mut out = String::new();
            write(layout, &mut out, &batch, change);
            out
        };
        let usual = XandrLayout::default();
        let both = UserChange { adds: vec![month, quarter], ..own.clone() };
        assert_eq!(line(&usual, &both), "5912333222111000999;4401:43200:0,4402:129600:0\n");
        let gone = UserChange { removes: vec![1], ..own.clone() };
        assert_eq!(line(&usual, &gone), "5912333222111000999;4402:-1:0\n");
        let on_device = XandrLayout { domain: Some(8), ..usual.clone() };
        let added = UserChange { adds: vec![month], ..device };
        let expected = "0a1b2c3d-1111-2222-3333-444455556666;4401:43200:0^8\n";
        assert_eq!(line(&on_device, &added), expected);
        let fields = vec![Field::Segment, Field::Member, Field::Expiration, Field::Timestamp];
        let long = XandrLayout { fields, member: 958, ..usual.clone() };
        let soon = UserChange { adds: vec![Add { segment: 0, ttl_s: 30 }], ..own.clone() };
        assert_eq!(line(&long, &soon), "5912333222111000999;4401:958:1:1767693600\n");
        let many = UserChange { adds: vec![month; 1801], ..own };
        assert_eq!(line(&usual, &many).lines().count(), 2);
    }

    #[test]
    fn ids_that_would_break_a_line_are_told() {
        let layout = XandrLayout::default();
        assert!(takes(&layout, "5912333222111000999"));
        for bad in ["", "a;b", "a,b", "a:b", "a^b", "a\tb", "a b", "ü", "a\nb"] {
            assert!(!takes(&layout, bad), "{bad:?}");
        }
    }
}

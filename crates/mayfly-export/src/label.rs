//! The IAB Tech Lab's data label as CSV: a header, every value in double quotes (Data Transparency
//! Standard, "CSV upload").

/// The rows of a label, each with the same names in the same order.
///
/// # Errors
/// None that is known: it is written to memory.
pub fn label(rows: &[Vec<(&'static str, String)>]) -> Result<Vec<u8>, csv::Error> {
    let mut out =
        csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    if let Some(first) = rows.first() {
        out.write_record(first.iter().map(|(name, _)| *name))?;
    }
    for row in rows {
        out.write_record(row.iter().map(|(_, value)| &**value))?;
    }
    out.into_inner().map_err(|error| error.into_error().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_quotes() {
        let row = |name: &str| vec![("audience_id", "1".to_owned()), ("name", name.to_owned())];
        let text = label(&[row("a;b"), row("say \"hi\"")]).unwrap();
        let expected = "\"audience_id\",\"name\"\n\"1\",\"a;b\"\n\"1\",\"say \"\"hi\"\"\"\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert!(label(&[]).unwrap().is_empty());
    }
}

//! What would be right instead, for every kind of problem.

use super::ProblemKind;

// What to write instead.
const FIELDS: &str = "\
     fields: host path url query.NAME title keywords categories event site a.NAME x.NAME \
     referrer referrer.host referrer.kind campaign.source campaign.medium \
     campaign.name device os browser language geo.country geo.region hour weekday";
const OPERATORS: &str = "\
     < <= > >= compare numbers of a.NAME and query.NAME; has looks into keywords and \
     categories";
const WINDOWS: &str = "\
     write both ends in hours (between 48h and 24h ago) or in days; `earlier than` takes \
     days";
const ROLES: &str = "\
     write role = \"vendor\" with vendor_id = your number in the Global Vendor List, or \
     role = \"publisher\" without one";
const NEEDS_A_HIT: &str = "\
     join it by `and` with something that needs a hit: visited(\"*\", within 30d)";
const ENABLE: &str = "\
     the privacy role enables it, and says why: `mayfly taxonomy enable PATH --basis TEXT`";
const NAMES: &str = "\
     site keys are of a-z 0-9 _ - . ; levels of a category stand between \" > \" and \
     are not empty; no name has control characters or quotes";

const ORIGINS: &str = "an origin is scheme, host and port (\"https://news.example\"), or \"*\"";
const PATHS: &str = "write \"/health/\": from the first slash on, without ? and #";

impl ProblemKind {
    /// What would be right, when that is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        if let Some(nearest) = self.nearest() {
            return Some(format!("the nearest name is {nearest}"));
        }
        self.fix().map(str::to_owned)
    }

    /// The nearest name in the quotes that it wears where it is written.
    fn nearest(&self) -> Option<String> {
        if let Self::Expected { nearest, .. }
        | Self::UnknownField { nearest, .. }
        | Self::UnknownKey { nearest, .. } = self
        {
            return nearest.as_ref().map(|name| format!("`{name}`"));
        }
        if let Self::UnknownCategory { nearest, .. }
        | Self::UnknownSegment { nearest, .. }
        | Self::UnknownList { nearest, .. }
        | Self::UnknownPartner { nearest, .. }
        | Self::UnknownSite { nearest, .. } = self
        {
            return nearest.as_ref().map(|name| format!("\"{name}\""));
        }
        None
    }

    /// What to write instead, where that does not hang on a name.
    fn fix(&self) -> Option<&'static str> {
        if let Self::Partner { fault } = self {
            return fault.fix();
        }
        if let Self::Destination { fault } = self {
            return fault.fix();
        }
        if let Self::Import { fault } = self {
            return fault.fix();
        }
        self.fix_of_text()
    }

    /// The same for what is wrong with texts and names.
    fn fix_of_text(&self) -> Option<&'static str> {
        Some(match self {
            Self::BadDate { .. } => "write the day as 2026-12-31",
            Self::UnknownField { .. } => FIELDS,
            Self::BadCharacter { found } => return instead_of(*found),
            Self::OperatorMismatch { .. } => OPERATORS,
            Self::NumberNeeded { .. } => "write the number without quotes",
            Self::EmptyText => "use `exists` to ask whether the field is there at all",
            Self::EngagementRule => "leave the event out and ask `engaged(…)` in the segment",
            Self::TrueForNoHits { .. } => NEEDS_A_HIT,
            Self::NoComparison { .. } => "compare with >= 1, or with == 0 for none",
            Self::FieldOrAttribute { .. } => {
                "write the field's name, or a.NAME where the attribute is meant"
            }
            Self::FleetingFilter => {
                "let a rule read it: the hit keeps the categories that it falls in when it comes"
            }
            Self::TooManyHours { .. } => "count in days: within 7d",
            Self::MixedWindow => WINDOWS,
            Self::WindowEmpty => "the shortest window is `within 1d`: the current UTC day",
            Self::BadQuorum { .. } => "k is 1 or more, and at most the number of branches",
            Self::Format => "write `format = 1` in the first line",
            Self::ConsentRole => ROLES,
            Self::TimeZone { .. } => "names are those of the IANA database: \"Europe/Amsterdam\"",
            Self::BadOrigin { .. } => ORIGINS,
            Self::NoWord => "`contains` finds signs, too",
            Self::SensitiveCategory { .. } | Self::StaysSensitive => ENABLE,
            Self::BadStandard { .. } => "write it as content-3.1, audience-1.1 or ad-product-2.0",
            Self::NotAMapping => "give a .tsv file of `Taxonomy Mappings` as it is published",
            Self::NotATaxonomy => "give a .tsv file as the IAB Tech Lab publishes it",
            Self::BadPath { .. } => PATHS,
            Self::BadName { .. } => NAMES,
            Self::Partner { .. }
            | Self::Destination { .. }
            | Self::Import { .. }
            | Self::NotYet { .. }
            | Self::Expected { .. }
            | Self::BadShare
            | Self::UnknownValue { .. }
            | Self::UnclosedText
            | Self::BadNumber { .. }
            | Self::TooLong
            | Self::TooDeep
            | Self::BadRegex { .. }
            | Self::RegexTooLong
            | Self::UnknownCategory { .. }
            | Self::UnknownSegment { .. }
            | Self::UnknownSite { .. }
            | Self::UnknownPartner { .. }
            | Self::UnknownList { .. }
            | Self::Cycle { .. }
            | Self::WindowTooLong { .. }
            | Self::ThresholdTooHigh { .. }
            | Self::TooManyLeaves
            | Self::SequenceMeasure
            | Self::TooManySteps
            | Self::StepTime { .. }
            | Self::TooManyTraces
            | Self::EndsBeforeStart
            | Self::Toml { .. }
            | Self::UnknownKey { .. }
            | Self::MissingKey { .. }
            | Self::UnknownWord { .. }
            | Self::NumberRange { .. }
            | Self::WrongType { .. }
            | Self::Both { .. }
            | Self::Twice { .. }
            | Self::TooMany { .. }
            | Self::UnderItself { .. }
            | Self::AndMore => return None,
        })
    }
}

/// What those write who mean something that has a sign or word here.
fn instead_of(character: char) -> Option<&'static str> {
    match character {
        '“' | '”' | '„' | '‟' | '‘' | '’' | '‚' | '«' | '»' | '`' => {
            Some("quote texts with straight quotes: \" or '")
        }
        '=' => Some("write == for \"is\""),
        '&' => Some("write `and`"),
        '|' => Some("write `or`"),
        '!' => Some("write `not`, or != for \"is not\""),
        '≥' => Some("write >="),
        '≤' => Some("write <="),
        '[' | ']' | '{' | '}' => Some("lists and groups stand in ( )"),
        _ => None,
    }
}

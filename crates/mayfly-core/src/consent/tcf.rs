//! IAB Europe's Transparency and Consent Framework: the TC string of version 2 (format 2.2 and
//! 2.3), read where it stands.
//!
//! Source: "Consent string and vendor list formats v2" of the framework's repository. A string
//! that breaks off, runs a range backwards or has a character of its own is refused whole: it says
//! nothing then. Vendors are asked for one at a time; a range is never written out.

use super::ConsentError;
use super::bits::Bits;
use crate::limits;

/// The only version that counts.
const VERSION: u8 = 2;
/// What a segment after the core says it is.
const DISCLOSED_VENDORS: u8 = 1;
/// See [`DISCLOSED_VENDORS`].
const ALLOWED_VENDORS: u8 = 2;
/// See [`DISCLOSED_VENDORS`].
const PUBLISHER_TC: u8 = 3;

/// A TC string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TcString<'t> {
    /// Made at, deciseconds since 1970 (days in practice).
    pub created_ds: u64,
    /// Changed at, the same.
    pub last_updated_ds: u64,
    /// The consent platform.
    pub cmp_id: u16,
    /// Its version.
    pub cmp_version: u16,
    /// Its screen on which the choice was made.
    pub consent_screen: u8,
    /// Two letters.
    pub consent_language: [u8; 2],
    /// The vendor list that was shown.
    pub vendor_list_version: u16,
    /// 4 is the policy of 2.2, 5 that of 2.3.
    pub tcf_policy_version: u8,
    /// For this site alone; others have no meaning for vendors any more.
    pub is_service_specific: bool,
    /// The publisher changed the words.
    pub use_non_standard_texts: bool,
    /// Opted in to special features.
    pub special_features: Ids<u16>,
    /// Consented to purposes.
    pub purposes_consent: Ids<u32>,
    /// Told of purposes under legitimate interest, and not objected.
    pub purposes_li: Ids<u32>,
    /// Purpose 1 was not asked for: the law of [`Self::publisher_cc`] does not ask for it.
    pub purpose_one_treatment: bool,
    /// The publisher's country, two letters.
    pub publisher_cc: [u8; 2],
    /// Vendors with consent.
    pub vendor_consents: Vendors<'t>,
    /// Vendors with legitimate interest.
    pub vendor_li: Vendors<'t>,
    /// What the publisher restricts.
    pub restrictions: Restrictions<'t>,
    /// Vendors that were shown to the visitor; asked for since 2.3.
    pub disclosed_vendors: Option<Vendors<'t>>,
    /// Vendors that the publisher allows; of strings for many sites, and without meaning today.
    pub allowed_vendors: Option<Vendors<'t>>,
    /// What the publisher himself was allowed.
    pub publisher: Option<PublisherTc>,
}

/// Numbers from 1 on as a row of bits, the first one most significant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ids<N> {
    bits: N,
    width: u8,
}

/// The publisher's own purposes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PublisherTc {
    /// Consented to purposes.
    pub purposes_consent: Ids<u32>,
    /// Purposes under legitimate interest.
    pub purposes_li: Ids<u32>,
    /// Consented to purposes of his own.
    pub custom_consent: Ids<u64>,
    /// His own purposes under legitimate interest.
    pub custom_li: Ids<u64>,
}

/// A set of vendors, as it stands in the string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vendors<'t> {
    bits: Bits<'t>,
    form: Form,
    /// The highest vendor that the string says there is.
    max: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// A bit for each vendor.
    Field,
    /// So many ranges.
    Ranges { entries: u16 },
}

/// What the publisher restricts, as it stands in the string.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restrictions<'t> {
    bits: Bits<'t>,
    count: u16,
}

/// A restriction of a purpose for some vendors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Restriction {
    /// Not on any ground.
    NotAllowed,
    /// On no other ground than consent.
    RequireConsent,
    /// On no other ground than legitimate interest.
    RequireLegitimateInterest,
}

impl<'t> TcString<'t> {
    /// Reads a TC string.
    ///
    /// # Errors
    /// [`ConsentError`]; longer than [`limits::CONSENT_BYTES`] is one.
    pub fn decode(text: &'t str) -> Result<Self, ConsentError> {
        if text.len() > limits::CONSENT_BYTES {
            return Err(ConsentError::TooLong);
        }
        let mut parts = text.split('.');
        let mut core = part(parts.next().unwrap_or_default())?;
        if core.number::<u8>(6)? != VERSION {
            return Err(ConsentError::Version);
        }
        let mut tc = Self::core(&mut core)?;
        for text in parts {
            let mut segment = part(text)?;
            match segment.number::<u8>(3)? {
                DISCLOSED_VENDORS => tc.disclosed_vendors = Some(Vendors::read(&mut segment)?),
                ALLOWED_VENDORS => tc.allowed_vendors = Vendors::read(&mut segment).ok(),
                PUBLISHER_TC => tc.publisher = Some(PublisherTc::read(&mut segment)?),
                _ => {}
            }
        }
        Ok(tc)
    }

    fn core(bits: &mut Bits<'t>) -> Result<Self, ConsentError> {
        Ok(Self {
            created_ds: bits.take(36)?,
            last_updated_ds: bits.take(36)?,
            cmp_id: bits.number(12)?,
            cmp_version: bits.number(12)?,
            consent_screen: bits.number(6)?,
            consent_language: letters(bits)?,
            vendor_list_version: bits.number(12)?,
            tcf_policy_version: bits.number(6)?,
            is_service_specific: bits.flag()?,
            use_non_standard_texts: bits.flag()?,
            special_features: Ids::read(bits, 12)?,
            purposes_consent: Ids::read(bits, 24)?,
            purposes_li: Ids::read(bits, 24)?,
            purpose_one_treatment: bits.flag()?,
            publisher_cc: letters(bits)?,
            vendor_consents: Vendors::read(bits)?,
            vendor_li: Vendors::read(bits)?,
            restrictions: Restrictions::read(bits)?,
            disclosed_vendors: None,
            allowed_vendors: None,
            publisher: None,
        })
    }
}

impl PublisherTc {
    fn read(bits: &mut Bits<'_>) -> Result<Self, ConsentError> {
        let (purposes_consent, purposes_li) = (Ids::read(bits, 24)?, Ids::read(bits, 24)?);
        let own = bits.number(6)?;
        let (custom_consent, custom_li) = (Ids::read(bits, own)?, Ids::read(bits, own)?);
        Ok(Self { purposes_consent, purposes_li, custom_consent, custom_li })
    }
}

impl<N: Copy + Into<u64> + TryFrom<u64>> Ids<N> {
    /// The highest number that may be in it.
    #[must_use]
    pub const fn width(self) -> u8 {
        self.width
    }

    fn read(bits: &mut Bits<'_>, width: u8) -> Result<Self, ConsentError> {
        Ok(Self { bits: bits.number(usize::from(width))?, width })
    }

    /// Whether a number, from 1 on, is in it.
    #[must_use]
    pub fn contains(self, id: u8) -> bool {
        (1..=self.width).contains(&id) && self.bits.into() >> (self.width - id) & 1 == 1
    }

    /// The numbers in it, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (1..=self.width).filter(move |id| self.contains(*id))
    }
}

impl<'t> Vendors<'t> {
    /// Reads past a set, and checks all of it.
    fn read(bits: &mut Bits<'t>) -> Result<Self, ConsentError> {
        let max = bits.number(16)?;
        if bits.flag()? {
            return Self::ranges(bits, max);
        }
        let field = Self { bits: *bits, form: Form::Field, max };
        bits.skip(usize::from(max))?;
        Ok(field)
    }

    fn ranges(bits: &mut Bits<'t>, max: u16) -> Result<Self, ConsentError> {
        let entries = bits.number(12)?;
        let ranges = Self { bits: *bits, form: Form::Ranges { entries }, max };
        for _ in 0..entries {
            let (first, last) = range(bits)?;
            if first > last {
                return Err(ConsentError::Backwards);
            }
        }
        Ok(ranges)
    }

    /// The highest vendor that the string says there is.
    #[must_use]
    pub const fn max(&self) -> u16 {
        self.max
    }

    /// Whether it is written as ranges.
    #[must_use]
    pub const fn is_range(&self) -> bool {
        matches!(self.form, Form::Ranges { .. })
    }

    /// All of it, ascending: for people who look at a string, never for a request.
    #[must_use]
    pub fn members(&self) -> Vec<u16> {
        let mut bits = self.bits;
        match self.form {
            Form::Field => (1..=self.max).filter(|_| bits.flag() == Ok(true)).collect(),
            Form::Ranges { entries } => {
                let ranges = (0..entries).map_while(|_| range(&mut bits).ok());
                let mut ranges: Vec<(u16, u16)> = ranges.collect();
                ranges.sort_unstable();
                // Each vendor once, however often the ranges say him.
                let (mut members, mut next) = (Vec::new(), 0u32);
                for (first, last) in ranges {
                    members.extend(first.max(u16::try_from(next).unwrap_or(u16::MAX))..=last);
                    next = next.max(u32::from(last) + 1);
                }
                members.dedup();
                members
            }
        }
    }

    /// Whether a vendor is in it. Takes as long as there are ranges, at most 4,095.
    #[must_use]
    pub fn contains(&self, vendor: u16) -> bool {
        let mut bits = self.bits;
        match self.form {
            Form::Field => {
                (1..=self.max).contains(&vendor)
                    && bits.skip(usize::from(vendor) - 1).is_ok()
                    && bits.flag() == Ok(true)
            }
            Form::Ranges { entries } => (0..entries)
                .map_while(|_| range(&mut bits).ok())
                .any(|(first, last)| (first..=last).contains(&vendor)),
        }
    }
}

impl<'t> Restrictions<'t> {
    fn read(bits: &mut Bits<'t>) -> Result<Self, ConsentError> {
        // Some encoders leave out the count when there are none; what is left is padding then.
        let count = bits.number(12.min(bits.left()))?;
        let restrictions = Self { bits: *bits, count };
        for _ in 0..count {
            bits.skip(8)?;
            Vendors::ranges(bits, u16::MAX)?;
        }
        Ok(restrictions)
    }

    /// The restrictions of a purpose for a vendor, in the order of the string. Undefined ones are
    /// left out.
    pub fn of(&self, purpose: u8, vendor: u16) -> impl Iterator<Item = Restriction> + 't {
        self.iter().filter_map(move |(own, restriction, vendors)| {
            restriction.filter(|_| own == purpose && vendors.contains(vendor))
        })
    }

    /// Purpose, restriction (`None` = undefined) and vendors of each, in the order of the string.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Option<Restriction>, Vendors<'t>)> + 't {
        let mut bits = self.bits;
        (0..self.count).map_while(move |_| {
            let purpose = bits.number(6).ok()?;
            let restriction = match bits.take(2).ok()? {
                0 => Some(Restriction::NotAllowed),
                1 => Some(Restriction::RequireConsent),
                2 => Some(Restriction::RequireLegitimateInterest),
                _ => None,
            };
            Some((purpose, restriction, Vendors::ranges(&mut bits, u16::MAX).ok()?))
        })
    }
}

/// A part between dots. So many characters and one more cannot be whole bytes.
fn part(text: &str) -> Result<Bits<'_>, ConsentError> {
    let bits = Bits::new(text)?;
    if bits.len() % 24 == 6 { Err(ConsentError::Truncated) } else { Ok(bits) }
}

/// First and last vendor of an entry.
fn range(bits: &mut Bits<'_>) -> Result<(u16, u16), ConsentError> {
    let is_range = bits.flag()?;
    let first = bits.number(16)?;
    Ok((first, if is_range { bits.number(16)? } else { first }))
}

/// Two letters of six bits each, `A` = 0; anything else is a question mark.
fn letters(bits: &mut Bits<'_>) -> Result<[u8; 2], ConsentError> {
    let mut letter = || -> Result<u8, ConsentError> {
        let number: u8 = bits.number(6)?;
        Ok(if number < 26 { b'A' + number } else { b'?' })
    };
    Ok([letter()?, letter()?])
}

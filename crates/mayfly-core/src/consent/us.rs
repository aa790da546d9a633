//! The sections of the United States in a GPP string: one table of layouts, one reader.
//!
//! Source: IAB Tech Lab, Global Privacy Platform, "Sections/US-National" and "Sections/US-States";
//! the widths where the texts are silent are those of its reference encoder.

use super::ConsentError;
use super::bits::Bits;

/// A field of a section, by the specification's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsField {
    /// Notice of sharing.
    SharingNotice,
    /// Notice of processing.
    ProcessingNotice,
    /// Notice of the right to opt out of sale.
    SaleOptOutNotice,
    /// … of sharing.
    SharingOptOutNotice,
    /// … of targeted advertising.
    TargetedAdvertisingOptOutNotice,
    /// … of the processing of sensitive data.
    SensitiveDataProcessingOptOutNotice,
    /// The same, under Iowa's name.
    SensitiveDataOptOutNotice,
    /// Notice of the right to limit the use of sensitive data.
    SensitiveDataLimitUseNotice,
    /// 1 = opted out of sale.
    SaleOptOut,
    /// 1 = opted out of sharing.
    SharingOptOut,
    /// 1 = opted out of targeted advertising.
    TargetedAdvertisingOptOut,
    /// A value for each class of sensitive data: 1 = no consent, 2 = consent.
    SensitiveDataProcessing,
    /// A value for each range of a child's age: 0 = no known child.
    KnownChildSensitiveDataConsents,
    /// Consent to incompatible purposes.
    PersonalDataConsents,
    /// The same, under the states' name.
    AdditionalDataProcessingConsent,
    /// Covered by the Multi-State Privacy Agreement.
    MspaCoveredTransaction,
    /// Its opt-out option mode.
    MspaOptOutOptionMode,
    /// Its service provider mode: 1 = acts as a service provider only.
    MspaServiceProviderMode,
    /// The mode of newer sections.
    MspaMode,
}

use UsField as F;

/// What a section holds.
struct Layout {
    /// Newer sections begin with the agreement; older ones end with it.
    is_new: bool,
    notices: &'static [UsField],
    opt_outs: &'static [UsField],
    sensitive: usize,
    child: usize,
    extra: Option<UsField>,
    /// What stands in the part behind the dot.
    behind: Behind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Nothing,
    /// Global Privacy Control.
    Gpc,
    /// Values for eight classes of sensitive data.
    Sensitive,
}

/// A section of the United States.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsSection {
    /// The version it says; layouts do not depend on it.
    pub version: u8,
    /// Global Privacy Control; `None` where it is not said.
    pub gpc: Option<bool>,
    /// Sections of its law can say Global Privacy Control.
    pub has_gpc: bool,
    /// Its first field is the version of the agreement, not of the section.
    pub is_new: bool,
    fields: Vec<(UsField, Vec<u8>)>,
}

const SHARED: &[UsField] =
    &[F::SharingNotice, F::SaleOptOutNotice, F::TargetedAdvertisingOptOutNotice];
const PROCESSED: &[UsField] =
    &[F::ProcessingNotice, F::SaleOptOutNotice, F::TargetedAdvertisingOptOutNotice];
const SALE_AND_TARGETED: &[UsField] = &[F::SaleOptOut, F::TargetedAdvertisingOptOut];
const ADDITIONAL: Option<UsField> = Some(F::AdditionalDataProcessingConsent);
/// Classes of sensitive data and of children's ages in the national section of fewer bits.
const NATIONAL_SHORT: (usize, usize) = (12, 2);
/// The same in the one of more bits.
const NATIONAL_LONG: (usize, usize) = (16, 3);
/// From so many bits on a national section is the long one: its version does not tell.
const NATIONAL_LONG_BITS: usize = 70;
/// The national section.
const NATIONAL: u16 = 7;
/// What the part behind the dot says it is when it holds Global Privacy Control.
const GPC_TYPE: u8 = 1;

impl Layout {
    const fn old(
        notices: &'static [UsField],
        (sensitive, child): (usize, usize),
        extra: Option<UsField>,
        behind: Behind,
    ) -> Self {
        let opt_outs = SALE_AND_TARGETED;
        Self { is_new: false, notices, opt_outs, sensitive, child, extra, behind }
    }

    const fn new(child: usize, behind: Behind) -> Self {
        let layout = Self::old(PROCESSED, (0, child), ADDITIONAL, behind);
        Self { is_new: true, ..layout }
    }

    const fn of(id: u16) -> Option<Self> {
        use Behind::{Gpc, Nothing, Sensitive};
        Some(match id {
            NATIONAL => NATIONAL_LAYOUT,
            8 => CALIFORNIA,
            9 => Self::old(SHARED, (8, 1), None, Nothing),
            10 => Self::old(SHARED, (7, 1), None, Gpc),
            11 => Self::old(UTAH, (8, 1), None, Nothing),
            12 => Self::old(SHARED, (8, 3), None, Gpc),
            13 => Self::old(PROCESSED, (8, 3), ADDITIONAL, Nothing),
            14 => Self::old(SHARED, (8, 3), ADDITIONAL, Gpc),
            15 => Self::old(PROCESSED, (11, 3), ADDITIONAL, Gpc),
            16 | 19 | 22 | 23 => Self::old(PROCESSED, (8, 1), ADDITIONAL, Gpc),
            17 => Self::old(PROCESSED, (9, 5), ADDITIONAL, Gpc),
            18 => Self::old(IOWA, (8, 1), None, Gpc),
            20 => Self::old(PROCESSED, (8, 3), ADDITIONAL, Gpc),
            21 => Self::old(PROCESSED, (10, 5), ADDITIONAL, Gpc),
            24 => Self::new(0, Gpc),
            25..=27 => Self::new(1, Sensitive),
            _ => return None,
        })
    }
}

const NATIONAL_LAYOUT: Layout = Layout {
    is_new: false,
    notices: &[
        F::SharingNotice,
        F::SaleOptOutNotice,
        F::SharingOptOutNotice,
        F::TargetedAdvertisingOptOutNotice,
        F::SensitiveDataProcessingOptOutNotice,
        F::SensitiveDataLimitUseNotice,
    ],
    opt_outs: &[F::SaleOptOut, F::SharingOptOut, F::TargetedAdvertisingOptOut],
    sensitive: NATIONAL_LONG.0,
    child: NATIONAL_LONG.1,
    extra: Some(F::PersonalDataConsents),
    behind: Behind::Gpc,
};
const CALIFORNIA: Layout = Layout {
    is_new: false,
    notices: &[F::SaleOptOutNotice, F::SharingOptOutNotice, F::SensitiveDataLimitUseNotice],
    opt_outs: &[F::SaleOptOut, F::SharingOptOut],
    sensitive: 9,
    child: 2,
    extra: Some(F::PersonalDataConsents),
    behind: Behind::Gpc,
};
const UTAH: &[UsField] = &[
    F::SharingNotice,
    F::SaleOptOutNotice,
    F::TargetedAdvertisingOptOutNotice,
    F::SensitiveDataProcessingOptOutNotice,
];
const IOWA: &[UsField] = &[
    F::ProcessingNotice,
    F::SaleOptOutNotice,
    F::TargetedAdvertisingOptOutNotice,
    F::SensitiveDataOptOutNotice,
];

/// The specification's names of the sections, from the national one (7) on.
const NAMES: [&str; 21] = [
    "usnat", "usca", "usva", "usco", "usut", "usct", "usfl", "usmt", "usor", "ustx", "usde",
    "usia", "usne", "usnh", "usnj", "ustn", "usmn", "usmd", "usin", "usky", "usri",
];

/// The name of a section of the United States.
#[must_use]
pub fn name(id: u16) -> Option<&'static str> {
    NAMES.get(usize::from(id.checked_sub(NATIONAL)?)).copied()
}

impl UsSection {
    /// Reads the section of an id.
    ///
    /// # Errors
    /// [`ConsentError`]; [`ConsentError::Sections`] for an id that is none of the United States.
    pub fn decode(id: u16, text: &str) -> Result<Self, ConsentError> {
        let mut layout = Layout::of(id).ok_or(ConsentError::Sections)?;
        let mut parts = text.split('.');
        let mut bits = Bits::new(parts.next().unwrap_or_default())?;
        if id == NATIONAL && bits.len() < NATIONAL_LONG_BITS {
            (layout.sensitive, layout.child) = NATIONAL_SHORT;
        }
        let version = bits.number(6)?;
        let (has_gpc, is_new) = (layout.behind == Behind::Gpc, layout.is_new);
        let mut section = Self { version, gpc: None, has_gpc, is_new, fields: Vec::new() };
        section.core(&layout, &mut bits)?;
        if id == NATIONAL {
            let counts = if version == 1 { NATIONAL_SHORT } else { NATIONAL_LONG };
            section.resize(F::SensitiveDataProcessing, counts.0);
            section.resize(F::KnownChildSensitiveDataConsents, counts.1);
        }
        for part in parts {
            section.behind(layout.behind, &mut Bits::new(part)?)?;
        }
        Ok(section)
    }

    fn core(&mut self, layout: &Layout, bits: &mut Bits<'_>) -> Result<(), ConsentError> {
        let mut read = |field, count| self.read(field, count, bits);
        if layout.is_new {
            read(F::MspaCoveredTransaction, 1)?;
            read(F::MspaMode, 1)?;
        }
        for field in layout.notices.iter().chain(layout.opt_outs) {
            read(*field, 1)?;
        }
        read(F::SensitiveDataProcessing, layout.sensitive)?;
        read(F::KnownChildSensitiveDataConsents, layout.child)?;
        if let Some(extra) = layout.extra {
            read(extra, 1)?;
        }
        if !layout.is_new {
            read(F::MspaCoveredTransaction, 1)?;
            read(F::MspaOptOutOptionMode, 1)?;
            read(F::MspaServiceProviderMode, 1)?;
        }
        Ok(())
    }

    fn behind(&mut self, behind: Behind, bits: &mut Bits<'_>) -> Result<(), ConsentError> {
        match behind {
            Behind::Nothing => Ok(()),
            Behind::Sensitive => self.read(F::SensitiveDataProcessing, 8, bits),
            Behind::Gpc => {
                if bits.number::<u8>(2)? == GPC_TYPE {
                    // Said twice, a no wins.
                    self.gpc = Some(bits.flag()? || self.gpc == Some(true));
                }
                Ok(())
            }
        }
    }

    fn read(&mut self, field: F, count: usize, bits: &mut Bits<'_>) -> Result<(), ConsentError> {
        if count > 0 {
            let values = (0..count).map(|_| bits.number(2)).collect::<Result<_, _>>()?;
            self.fields.push((field, values));
        }
        Ok(())
    }

    /// As many values as the version has; those that were not sent do not apply.
    fn resize(&mut self, field: F, count: usize) {
        let all = self.fields.iter_mut().filter(|(own, _)| *own == field);
        all.for_each(|(_, values)| values.resize(count, 0));
    }

    /// The fields in their order, each with its values.
    pub fn fields(&self) -> impl Iterator<Item = (UsField, &[u8])> {
        self.fields.iter().map(|(field, values)| (*field, &values[..]))
    }

    /// A field's values; none where the section has no such field.
    #[must_use]
    pub fn values(&self, field: UsField) -> &[u8] {
        self.fields().find(|(own, _)| *own == field).map_or(&[], |(_, values)| values)
    }

    /// Opted out of sale, sharing or targeted advertising, or by Global Privacy Control, which
    /// wins over "did not opt out".
    #[must_use]
    pub fn opted_out(&self) -> bool {
        let opt_outs = [F::SaleOptOut, F::SharingOptOut, F::TargetedAdvertisingOptOut];
        self.gpc == Some(true) || opt_outs.iter().any(|field| self.values(*field) == [1])
    }

    /// The visitor is known to be a child.
    #[must_use]
    pub fn is_child(&self) -> bool {
        self.values(F::KnownChildSensitiveDataConsents).iter().any(|value| *value != 0)
    }

    /// Whoever receives the data may act as a service provider only.
    #[must_use]
    pub fn is_service_only(&self) -> bool {
        self.values(F::MspaServiceProviderMode) == [1]
    }
}

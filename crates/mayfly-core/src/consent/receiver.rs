//! Receivers: what a visitor must have allowed before something of him goes to one.

use super::ac::AdditionalConsent;
use super::decide::{Platform, vendor_may};
use super::{ConsentState, Refusal};

/// On what ground a receiver gets what it gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ground {
    /// A vendor of the Global Vendor List, by its number.
    Vendor(u16),
    /// A provider outside of it, by its number in Google's list: the additional consent string.
    Provider(u32),
    /// Nobody's own: it works for the controller alone, whose permission is enough.
    Processor,
}

/// A receiver of data, as far as consent is concerned.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Receiver {
    /// On what ground.
    pub ground: Ground,
    /// For which purposes of the TCF, 1 to 11.
    pub purposes: Vec<u8>,
}

impl Receiver {
    /// What a receiver does that is not said: it stores on the device (purpose 1) and selects
    /// personalised advertising (purpose 4).
    pub const PURPOSES: [u8; 2] = [1, 4];

    /// A vendor of the Global Vendor List, for the usual purposes.
    #[must_use]
    pub fn vendor(id: u16) -> Self {
        Self { ground: Ground::Vendor(id), purposes: Self::PURPOSES.to_vec() }
    }

    /// Whether a hit that was kept under this state may be passed on to the receiver.
    ///
    /// # Errors
    /// Why not.
    pub fn is_permitted(&self, state: &ConsentState) -> Result<(), Refusal> {
        if self.ground == Ground::Processor {
            return Ok(());
        }
        if !state.allowed.share {
            return Err(Refusal::Refused);
        }
        let platform = Platform::read(&state.choice)?;
        if state.choice.gdpr == Some(false) {
            return Ok(());
        }
        let additional = state.choice.additional.as_deref();
        let strings = platform.tc_strings(&state.choice)?;
        if strings.is_empty() && state.choice.gdpr == Some(true) {
            return Err(Refusal::Absent);
        }
        for tc in strings {
            for purpose in &self.purposes {
                match self.ground {
                    Ground::Vendor(vendor) => vendor_may(&tc, *purpose, vendor)?,
                    Ground::Provider(_) if !tc.purposes_consent.contains(*purpose) => {
                        return Err(Refusal::Refused);
                    }
                    Ground::Provider(id) => provider_may(additional, id)?,
                    Ground::Processor => {}
                }
            }
        }
        Ok(())
    }
}

fn provider_may(additional: Option<&str>, provider: u32) -> Result<(), Refusal> {
    let text = additional.ok_or(Refusal::Absent)?;
    let read = AdditionalConsent::decode(text).map_err(|_| Refusal::Invalid)?;
    let is_in = read.consented().any(|id| id == provider);
    if is_in { Ok(()) } else { Err(Refusal::Refused) }
}

//! `Cookie:` headers in, `Set-Cookie:` headers out.

use cookie::{Cookie, SameSite, time::Duration};
use mayfly_core::limits;

use crate::refusal::Reason;

/// The visitor's cookie.
pub const VISITOR_COOKIE: &str = "mf_id";
/// The probe.
pub const PROBE_COOKIE: &str = "mf_probe";
/// The visitor's no: it wins over everything.
pub const OPTOUT_COOKIE: &str = "mf_optout";

/// Our cookies of one request, borrowed from its header. The first of a name counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OwnCookies<'h> {
    /// `mf_id`.
    pub visitor: Option<&'h str>,
    /// `mf_probe`.
    pub probe: Option<&'h str>,
    /// `mf_optout` is there, with any value.
    pub opted_out: bool,
}

impl<'h> OwnCookies<'h> {
    /// Finds our cookies in a `Cookie:` header, without allocation.
    ///
    /// # Errors
    /// [`Reason::CookiesTooLong`]: a header that is not read to its end might hide an opt-out, so
    /// it is refused, not cut.
    pub fn find(header: &'h str) -> Result<Self, Reason> {
        if header.len() > limits::COOKIE_HEADER_BYTES {
            return Err(Reason::CookiesTooLong);
        }
        let mut own = Self::default();
        for pair in header.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            match name.trim() {
                VISITOR_COOKIE => own.visitor = own.visitor.or(Some(value.trim())),
                PROBE_COOKIE => own.probe = own.probe.or(Some(value.trim())),
                OPTOUT_COOKIE => own.opted_out = true,
                _ => {}
            }
        }
        Ok(own)
    }
}

/// Where our cookie stands with respect to the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Placement {
    /// The collector's host belongs to the page's site: `SameSite=Lax`.
    #[default]
    FirstParty,
    /// Another site: `SameSite=None; Secure`.
    ThirdParty,
    /// Another site, one cookie jar a site: `SameSite=None; Secure; Partitioned`.
    Chips,
}

/// A `Set-Cookie` value. `Secure` when the request came by https or the placement asks for it.
#[must_use]
pub fn set_cookie(
    name: &str,
    value: &str,
    max_age_s: i64,
    placement: Placement,
    https: bool,
) -> String {
    let first_party = placement == Placement::FirstParty;
    let mut cookie = Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .max_age(Duration::seconds(max_age_s))
        .same_site(if first_party { SameSite::Lax } else { SameSite::None });
    if https || !first_party {
        cookie = cookie.secure(true);
    }
    if placement == Placement::Chips {
        cookie = cookie.partitioned(true);
    }
    cookie.build().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ours_are_found_among_others() {
        let own = OwnCookies::find("a=1; mf_id = x ;b; mf_probe=y; mf_id=z; xmf_optout=1").unwrap();
        assert_eq!(own, OwnCookies { visitor: Some("x"), probe: Some("y"), opted_out: false });
        assert!(OwnCookies::find("mf_optout=").unwrap().opted_out);
        let many = "c=1; ".repeat(10_000);
        assert_eq!(OwnCookies::find(&many), Err(Reason::CookiesTooLong));
    }

    #[test]
    fn each_placement_has_its_attributes() {
        let set = |placement, https| set_cookie(VISITOR_COOKIE, "v", 60, placement, https);
        let plain = set(Placement::FirstParty, false);
        assert_eq!(plain, "mf_id=v; HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
        assert!(set(Placement::FirstParty, true).contains("; Secure"));
        let third = set(Placement::ThirdParty, false);
        assert!(third.contains("SameSite=None") && third.contains("Secure"));
        assert!(!third.contains("Partitioned"));
        assert!(set(Placement::Chips, false).contains("Partitioned"));
    }

    proptest! {
        #[test]
        fn any_header_is_survived(header in "(mf_id|mf_optout|=|;| |.){0,60}") {
            OwnCookies::find(&header).ok();
        }
    }
}

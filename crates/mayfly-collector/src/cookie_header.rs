//! `Cookie:` headers in, `Set-Cookie:` headers out.

use cookie::{Cookie, SameSite, time::Duration};
use mayfly_core::{Refusal, limits};

use crate::admission;
use crate::refusal::Reason;

/// What our cookies are called: a prefix that the operator may choose, and a word each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CookieNames {
    /// The visitor's cookie: `mf_id`.
    pub visitor: Box<str>,
    /// The probe: `mf_probe`.
    pub probe: Box<str>,
    /// The visitor's no, which wins over everything: `mf_optout`.
    pub optout: Box<str>,
}

impl CookieNames {
    /// Names with this prefix (`mf`). `is_secure` puts `__Host-` before them: browsers then take
    /// them over https from this very host alone, so that no neighbour can plant one.
    #[must_use]
    pub fn new(prefix: &str, is_secure: bool) -> Self {
        let host = if is_secure { "__Host-" } else { "" };
        let name = |word| format!("{host}{prefix}_{word}").into();
        Self { visitor: name("id"), probe: name("probe"), optout: name("optout") }
    }
}

impl Default for CookieNames {
    fn default() -> Self {
        Self::new("mf", false)
    }
}

/// Cookies of one name that are looked at: a neighbour on the same domain may have planted some.
const SAME_NAME: usize = 8;

/// Our cookies of one request, borrowed from its header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OwnCookies<'h> {
    visitors: [Option<&'h str>; SAME_NAME],
    probes: [Option<&'h str>; SAME_NAME],
    /// The opt-out is there, with any value.
    pub opted_out: bool,
}

impl<'h> OwnCookies<'h> {
    /// Finds our cookies in a `Cookie:` header, without allocation.
    ///
    /// # Errors
    /// [`Reason::CookiesTooLong`]: a header that is not read to its end might hide an opt-out, so
    /// it is refused, not cut.
    pub fn find(header: &'h str, names: &CookieNames) -> Result<Self, Reason> {
        if header.len() > limits::COOKIE_HEADER_BYTES {
            return Err(Reason::CookiesTooLong);
        }
        let mut own = Self::default();
        for pair in header.split(';') {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            if name == &*names.visitor {
                keep(&mut own.visitors, value);
            } else if name.strip_prefix(&*names.probe).is_some_and(is_probe_suffix) {
                keep(&mut own.probes, value);
            } else if name == &*names.optout {
                own.opted_out = true;
            }
        }
        Ok(own)
    }

    /// The visitor cookies, in the order of the header: the first that is ours counts.
    pub fn visitors(&self) -> impl Iterator<Item = &'h str> + use<'h> {
        self.visitors.into_iter().flatten()
    }

    /// The probes, likewise.
    pub fn probes(&self) -> impl Iterator<Item = &'h str> + use<'h> {
        self.probes.into_iter().flatten()
    }

    /// The no that the browser sends with every request; `gpc` is its `Sec-GPC` header.
    #[must_use]
    pub fn refusal(&self, gpc: Option<&str>) -> Option<Refusal> {
        if self.opted_out {
            return Some(Refusal::OptedOut);
        }
        (admission::gpc(gpc) == Some(true)).then_some(Refusal::Gpc)
    }
}

/// The names of the probes in a header: what takes them back must name them.
pub(crate) fn probe_names(header: &str, names: &CookieNames) -> Vec<String> {
    let all =
        header.split(';').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name.trim());
    let is_probe = |name: &&str| name.strip_prefix(&*names.probe).is_some_and(is_probe_suffix);
    all.filter(is_probe).map(str::to_owned).take(SAME_NAME).collect()
}

/// Each probe has a cookie of its own, so that parallel first requests do not overwrite one
/// another's: browsers send the oldest first, and the first one counts.
fn is_probe_suffix(suffix: &str) -> bool {
    suffix.is_empty() || suffix.len() == 3 && suffix.starts_with('_')
}

/// Puts a value into the first place that is free.
fn keep<'h>(all: &mut [Option<&'h str>; SAME_NAME], value: &'h str) {
    if let Some(free) = all.iter_mut().find(|place| place.is_none()) {
        *free = Some(value);
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

/// A `Set-Cookie` value; `max_age_s` 0 removes the cookie. `Secure` when `is_secure` or the
/// placement asks for it.
#[must_use]
pub fn set_cookie(
    name: &str,
    value: &str,
    max_age_s: i64,
    placement: Placement,
    is_secure: bool,
) -> String {
    let first_party = placement == Placement::FirstParty;
    let mut cookie = Cookie::build((name, value))
        .path("/")
        .http_only(true)
        .max_age(Duration::seconds(max_age_s))
        .same_site(if first_party { SameSite::Lax } else { SameSite::None });
    if is_secure || !first_party {
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

    fn find(header: &str) -> Result<OwnCookies<'_>, Reason> {
        OwnCookies::find(header, &CookieNames::default())
    }

    #[test]
    fn ours_are_found_among_others() {
        let own = find("a=1; mf_id = x ;b; mf_probe=y; mf_id=z; xmf_optout=1").unwrap();
        assert_eq!(own.visitors().collect::<Vec<_>>(), ["x", "z"]);
        assert_eq!((own.probes().collect::<Vec<_>>(), own.opted_out), (vec!["y"], false));
        let parallel = "mf_probe_0a=2; mf_probe_ff=3; mf_probes=4; mf_probe_abc=5";
        assert_eq!(find(parallel).unwrap().probes().collect::<Vec<_>>(), ["2", "3"]);
        let names = probe_names(parallel, &CookieNames::default());
        assert_eq!(names, ["mf_probe_0a", "mf_probe_ff"]);
        assert!(find("mf_optout=").unwrap().opted_out);
        assert_eq!(find(&"mf_id=1; ".repeat(100)).unwrap().visitors().count(), SAME_NAME);
        let many = "c=1; ".repeat(10_000);
        assert_eq!(find(&many), Err(Reason::CookiesTooLong));
        let names = CookieNames::new("xy", true);
        let own = OwnCookies::find("__Host-xy_id=1; xy_id=2; mf_id=3", &names).unwrap();
        assert_eq!(own.visitors().collect::<Vec<_>>(), ["1"]);
    }

    #[test]
    fn each_placement_has_its_attributes() {
        let set = |placement, https| set_cookie("mf_id", "v", 60, placement, https);
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
            find(&header).ok();
        }
    }
}

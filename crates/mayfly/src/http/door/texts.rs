//! What the pages say. A text that a language lacks does not compile.

mod da;
mod en;
mod nl;
mod ro;

use super::Language;
use super::html::fill;

/// Declares the texts, each a field with what it is for.
macro_rules! texts {
    ($($name:ident: $purpose:literal,)+) => {
        /// All texts of a language. `{name}` stands for a value.
        pub(super) struct Texts {
            $(#[doc = $purpose] pub(super) $name: &'static str,)+
        }

        #[cfg(test)]
        impl Texts {
            /// Names and texts.
            pub(super) fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

texts! {
    privacy_name: "Link to the privacy page.",
    optout_name: "Link to the opt-out page.",
    pages: "Label of the links to the pages.",
    languages: "Label of the links to the languages.",
    footer: "The foot of each page.",
    day_one: "One day.",
    day_few: "A few days.",
    day_many: "Many days.",
    done_opted_out: "Just opted out.",
    done_opted_out_of_site: "Just opted out of the site that a link came from.",
    done_opted_in: "Just opted back in.",
    done_erased: "Just erased.",
    done_nothing: "Nothing to erase.",
    state_heading: "Heading over the state.",
    state_opted_out: "The opt-out cookie is there.",
    state_gpc: "The browser sends Sec-GPC.",
    state_collected: "Collected, with its id.",
    state_earlier: "Held from before, with its id.",
    state_nothing: "No id.",
    state_may_start: "No id, and may get one.",
    link_expired: "The link that a site's page made is too old.",
    state_apart: "No id, and the browser may keep one apart for each site.",
    state_open: "On the opt-out page: no no was said.",
    privacy_heading: "Heading of the privacy page.",
    lead_what: "What is recorded.",
    lead_pseudonymous: "Whose it is.",
    lead_deleted: "How long.",
    held_heading: "Heading over what is held.",
    segments_heading: "Heading over the segments.",
    segments_what: "What segments are.",
    segments_none: "In none.",
    partners_heading: "Heading over the ids of partners.",
    partners_what: "What ids of partners are.",
    visits_heading: "Heading over the hits.",
    visits_order: "Caption of the hits.",
    visits_none: "No hits.",
    visits_newest: "Not all hits are listed.",
    visits_kept: "How long hits are held.",
    column_time: "Column.",
    column_site: "Column.",
    column_event: "Column.",
    column_page: "Column.",
    column_categories: "Column.",
    column_seconds: "Column.",
    event_page_view: "Event `page_view`.",
    event_engagement: "Event `engagement`.",
    event_ad_impression: "Event `ad_impression`.",
    event_ad_click: "Event `ad_click`.",
    event_conversion: "Event `conversion`.",
    event_import: "Event `import`.",
    actions_heading: "Heading over the actions.",
    download_heading: "Heading.",
    download_what: "What the download is.",
    download_link: "The link.",
    erase_heading: "Heading.",
    erase_what: "What erasing does.",
    erase_again: "What erasing does not do.",
    erase_button: "The button.",
    optout_heading: "Heading; of the opt-out page, too.",
    optout_what: "What opting out does.",
    optout_gpc: "Opting out beside Sec-GPC.",
    optout_button: "The button.",
    optin_heading: "Heading.",
    optin_what: "What opting back in does.",
    optin_gpc: "Opting back in against Sec-GPC.",
    optin_button: "The button.",
    cookies_heading: "Heading over the cookies.",
    cookie_name: "Column.",
    cookie_purpose: "Column.",
    cookie_life: "Column.",
    id_purpose: "The id cookie.",
    id_life: "The id cookie.",
    probe_purpose: "The probe cookie.",
    probe_life: "The probe cookie.",
    optout_purpose: "The opt-out cookie.",
    optout_life: "The opt-out cookie.",
    rights_heading: "Heading over the rights.",
    rights_all: "The rights.",
    rights_each: "Browsers count apart.",
    rights_authority: "Complaints.",
    rights_controller: "Before the controller.",
    rights_contact: "Before the contact.",
    optout_of_site: "What opting out does for the site that a link came from.",
    optout_apart: "The browser may keep our cookies apart for each site.",
    optout_lead: "The opt-out page in a sentence.",
    does_heading: "Heading.",
    does_stop: "It stops.",
    does_last: "It lasts.",
    does_not_heading: "Heading.",
    does_not_erase: "It does not erase.",
    does_not_reach: "It does not reach elsewhere.",
    optout_to_privacy: "Link to the privacy page.",
    privacy_to_optout: "Link to the opt-out page.",
}

impl Language {
    /// Its texts.
    pub(super) fn texts(self) -> &'static Texts {
        match self {
            Self::English => &en::ENGLISH,
            Self::Dutch => &nl::DUTCH,
            Self::Romanian => &ro::ROMANIAN,
            Self::Danish => &da::DANISH,
        }
    }

    /// `n` days, in words.
    pub(super) fn days(self, n: u16) -> String {
        let t = self.texts();
        fill(self.number_of(n, t.day_one, t.day_few, t.day_many), &[("n", &n.to_string())])
    }
}

impl Texts {
    /// What an event is called; the site's own as the site calls it.
    pub(super) fn event<'a>(&self, event: &'a str) -> &'a str {
        match event {
            "page_view" => self.event_page_view,
            "engagement" => self.event_engagement,
            "ad_impression" => self.event_ad_impression,
            "ad_click" => self.event_ad_click,
            "conversion" => self.event_conversion,
            "import" => self.event_import,
            own => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names in braces, in order of the alphabet.
    fn placeholders(text: &str) -> Vec<&str> {
        let mut names: Vec<_> = text
            .split('{')
            .skip(1)
            .map(|after| after.split_once('}').expect("a closing brace").0)
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_text_is_translated_and_takes_the_same_values() {
        let english = Language::English.texts().all();
        for language in [Language::Dutch, Language::Romanian, Language::Danish] {
            for ((name, own), (_, english)) in language.texts().all().into_iter().zip(&english) {
                assert_ne!(own.to_lowercase(), english.to_lowercase(), "{name} in {language:?}");
                assert_eq!(placeholders(own), placeholders(english), "{name} in {language:?}");
            }
        }
    }

    #[test]
    fn texts_are_clean() {
        for language in Language::ALL {
            for (name, text) in language.texts().all() {
                assert_eq!(text.trim(), text, "{name} in {language:?}");
                assert!(!text.is_empty() && !text.contains("  "), "{name} in {language:?}");
                let lower = text.to_lowercase();
                let wrong = lower.contains("anonym") || lower.contains("anonim");
                assert!(!wrong, "pseudonymous, not the other: {name} in {language:?}");
                let cedilla = text.contains(['ş', 'Ş', 'ţ', 'Ţ']);
                assert!(!cedilla, "Romanian has commas below: {name} in {language:?}");
            }
        }
    }

    #[test]
    fn days_are_counted_as_each_language_does() {
        let days = |language: Language| [1, 7, 90].map(|n| language.days(n));
        assert_eq!(days(Language::English), ["1 day", "7 days", "90 days"]);
        assert_eq!(days(Language::Dutch), ["1 dag", "7 dagen", "90 dagen"]);
        assert_eq!(days(Language::Romanian), ["1 zi", "7 zile", "90 de zile"]);
        assert_eq!(days(Language::Danish), ["1 dag", "7 dage", "90 dage"]);
    }

    #[test]
    fn a_sites_own_event_keeps_its_name() {
        let texts = Language::Danish.texts();
        assert_eq!(texts.event("page_view"), "sidevisning");
        assert_eq!(texts.event("video_start"), "video_start");
    }
}

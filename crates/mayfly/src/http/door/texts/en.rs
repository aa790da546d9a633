//! English.

use super::Texts;

/// The texts in English.
pub(super) const ENGLISH: Texts = Texts {
    privacy_name: "Your privacy",
    optout_name: "Opting out",
    pages: "Pages",
    languages: "Languages",
    footer: "This page needs no script and loads nothing from other servers.",
    day_one: "{n} day",
    day_few: "{n} days",
    day_many: "{n} days",
    done_opted_out: "Done: you have opted out. From now on nothing is collected from this browser.",
    done_opted_out_of_site: "Done: you have opted out of the website you came from, and what \
        was held is erased. Your browser learns of it with your next page there. To opt back in, \
        use that website’s own privacy settings.",
    done_opted_in: "Done: your opt-out is lifted.",
    done_erased: "Erased: what was held about this browser can no longer be seen or used. Its last \
        traces leave our storage with the next clean-ups.",
    done_nothing: "There was nothing to erase: nothing was held about this browser.",
    state_heading: "This browser",
    state_opted_out: "You have opted out: nothing is collected from this browser.",
    state_gpc: "Your browser sends the Global Privacy Control signal. We take it as a no: nothing \
        is collected from this browser.",
    state_collected: "Visits from this browser are recorded under the pseudonymous id {id}.",
    state_earlier: "What was recorded earlier, under the pseudonymous id {id}, is still held. You \
        can see it below and erase it.",
    state_nothing: "Nothing is held about this browser: it has no id here.",
    state_may_start: "That may change with your next visit to a website that works with us, unless \
        you opt out.",
    link_expired: "The link that brought you here is no longer good. Open this page again from the \
        website’s own privacy settings.",
    state_apart: "If your browser keeps each website’s cookies apart, this page cannot see what a \
        website’s visits left behind. Come here by the privacy link on that website, then.",
    state_open: "You have not opted out: visits from this browser may be recorded.",
    privacy_heading: "What is held about this browser",
    lead_what: "Websites that work with us record which of their pages this browser opens, to \
        choose content and advertising to match.",
    lead_pseudonymous: "The record is pseudonymous: it belongs to a number in a cookie, not to \
        your name, e-mail address or IP address.",
    lead_deleted: "Every entry is deleted after {days} at the latest.",
    held_heading: "What is held",
    segments_heading: "Segments",
    segments_what: "Groups of browsers with similar interests that this one is in now, worked out \
        from its visits.",
    segments_none: "This browser is in no segment.",
    partners_heading: "Partners that know this browser",
    partners_what: "Advertising partners of ours recognise this browser by these ids of theirs.",
    visits_heading: "Recorded visits",
    visits_order: "Newest first",
    visits_none: "No visits are recorded.",
    visits_newest: "This list shows the newest {shown} of {total}; the download has them all.",
    visits_kept: "Each visit is deleted after {days} at the latest, and segments that rest on it \
        lapse with it. Your IP address is not stored.",
    column_time: "When",
    column_site: "Site",
    column_event: "Event",
    column_page: "Page",
    column_categories: "Categories",
    column_seconds: "Time on page",
    event_page_view: "page view",
    event_engagement: "reading",
    event_ad_impression: "advertisement shown",
    event_ad_click: "advertisement clicked",
    event_conversion: "conversion",
    event_import: "brought in from a file",
    actions_heading: "What you can do",
    download_heading: "Take it with you",
    download_what: "A JSON file with everything that is held about this browser.",
    download_link: "Download the file",
    erase_heading: "Erase it",
    erase_what: "Everything that is held about this browser is erased. This cannot be undone.",
    erase_again: "Unless you also opt out, a later visit starts a new record.",
    erase_button: "Erase everything",
    optout_heading: "Opt out",
    optout_what: "No further visits from this browser are recorded. What is held already stays \
        until you erase it or it runs out.",
    optout_gpc: "You can opt out here as well; that holds even if the signal is switched off one \
        day.",
    optout_button: "Opt out",
    optin_heading: "Opt back in",
    optin_what: "If you opt back in, the opt-out cookie is deleted, and visits from this browser \
        may be recorded again.",
    optin_gpc: "As long as your browser sends Global Privacy Control, nothing is recorded all the \
        same.",
    optin_button: "Opt back in",
    cookies_heading: "The cookies we use",
    cookie_name: "Name",
    cookie_purpose: "What it is for",
    cookie_life: "How long it stays",
    id_purpose: "Holds the pseudonymous id, so that visits from one browser belong together.",
    id_life: "{days} from your latest visit",
    probe_purpose: "Checks whether this browser keeps cookies at all.",
    probe_life: "{minutes} minutes",
    optout_purpose: "Remembers that you opted out, and nothing else.",
    optout_life: "{days}, only if you opt out",
    rights_heading: "Your rights",
    rights_all: "You have the right to see this data, to take it with you, to have it erased and \
        to object to its use. On this page you can do all of that yourself, at once.",
    rights_each: "Every browser and every device counts separately, so please repeat your choice \
        on each one.",
    rights_authority: "If you are not satisfied, you can complain to the data protection authority \
        of your country.",
    rights_controller: "Responsible for this data:",
    rights_contact: "Questions and requests:",
    optout_of_site: "You came from a website that knows this browser on its own pages only. \
        Opting out holds for that website, and erases what is held.",
    optout_apart: "If your browser keeps each website’s cookies apart, opting out here reaches none of \
        them. Opt out by the privacy link on the website itself, then.",
    optout_lead: "One click, and visits from this browser are no longer recorded.",
    does_heading: "What opting out does",
    does_stop: "No further visits from this browser are recorded, and the pages you open are no \
        longer told its segments.",
    does_last: "It lasts as long as the opt-out cookie ({cookie}) stays in this browser, at most \
        {days}. If you delete your cookies, please opt out again.",
    does_not_heading: "What it does not do",
    does_not_erase: "It does not erase what was recorded before. That runs out by itself after \
        {days} at the latest.",
    does_not_reach: "It does not reach your other browsers and devices: each one needs its own \
        opt-out.",
    optout_to_privacy: "See and erase what is held",
    privacy_to_optout: "More about opting out",
};

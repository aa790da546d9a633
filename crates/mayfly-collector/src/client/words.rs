//! The words of user agents that mean something, and what they mean.

/// What the words of a user agent say together: a set of flags.
pub(super) type Signals = u64;

/// Android.
pub(super) const ANDROID: Signals = 1;
/// An iPhone or iPod.
pub(super) const IPHONE: Signals = 1 << 1;
/// An iPad.
pub(super) const IPAD: Signals = 1 << 2;
/// iOS, or a browser that exists there only.
pub(super) const IOS: Signals = 1 << 3;
/// Windows of any kind.
pub(super) const WINDOWS: Signals = 1 << 4;
/// A telephone, if it is Windows.
pub(super) const POCKET: Signals = 1 << 5;
/// A Windows telephone, whatever else is said.
pub(super) const WINDOWS_PHONE: Signals = 1 << 6;
/// macOS; iOS is "like" it.
pub(super) const MAC: Signals = 1 << 7;
/// ChromeOS.
pub(super) const CHROME_OS: Signals = 1 << 8;
/// Linux; most televisions and Android are, too.
pub(super) const LINUX: Signals = 1 << 9;
/// A Unix desktop.
pub(super) const DESKTOP: Signals = 1 << 10;
/// A system that has no name of its own here.
pub(super) const OTHER_OS: Signals = 1 << 11;
/// The core of macOS and iOS, as apps say it.
pub(super) const DARWIN: Signals = 1 << 12;
/// A processor of computers.
pub(super) const INTEL: Signals = 1 << 13;
/// A television.
pub(super) const TV: Signals = 1 << 14;
/// A game console.
pub(super) const CONSOLE: Signals = 1 << 15;
/// A watch.
pub(super) const WEARABLE: Signals = 1 << 16;
/// A headset or a car.
pub(super) const OTHER_DEVICE: Signals = 1 << 17;
/// A tablet.
pub(super) const TABLET: Signals = 1 << 18;
/// Not a desktop.
pub(super) const MOBILE: Signals = 1 << 19;
/// Chrome, or one of its many copies.
pub(super) const CHROME: Signals = 1 << 20;
/// Safari, or what is compatible with it.
pub(super) const SAFARI: Signals = 1 << 21;
/// Firefox.
pub(super) const FIREFOX: Signals = 1 << 22;
/// Edge.
pub(super) const EDGE: Signals = 1 << 23;
/// Opera.
pub(super) const OPERA: Signals = 1 << 24;
/// Samsung Internet.
pub(super) const SAMSUNG: Signals = 1 << 25;
/// Internet Explorer.
pub(super) const EXPLORER: Signals = 1 << 26;
/// A page inside an app.
pub(super) const WEB_VIEW: Signals = 1 << 27;
/// The word that Safari puts its version behind, and web views on Android do.
pub(super) const VERSION: Signals = 1 << 28;
/// Some browser, which other words must name.
pub(super) const ENGINE: Signals = 1 << 29;
/// A name that browsers of the families above do not bear: another browser, or an app.
pub(super) const FOREIGN: Signals = 1 << 30;

/// Says nothing, and is named by browsers of the families above.
const NEUTRAL: Signals = 0;

/// The words in lower case, sorted, at most [`WORD_BYTES`] long.
const WORDS: &[(&str, Signals)] = &[
    ("adr", ANDROID),
    ("android", ANDROID),
    ("appletv", TV | OTHER_OS),
    ("applewebkit", ENGINE),
    ("atv", TV | OTHER_OS),
    ("bada", OTHER_OS | MOBILE),
    ("bb", OTHER_OS | MOBILE),
    ("beos", OTHER_OS | DESKTOP),
    ("blackberry", OTHER_OS | MOBILE),
    ("bravia", TV),
    ("brew", OTHER_OS | MOBILE),
    ("bsd", OTHER_OS | DESKTOP),
    ("ce", POCKET),
    ("centos", LINUX | DESKTOP),
    ("chrome", CHROME | ENGINE),
    ("chromecast", TV),
    ("chromium", CHROME | ENGINE),
    ("cldc", MOBILE),
    ("coast", OPERA | IOS),
    ("crios", CHROME | IOS | ENGINE),
    ("crkey", TV),
    ("cros", CHROME_OS),
    ("darwin", DARWIN),
    ("debian", LINUX | DESKTOP),
    ("docomo", MOBILE),
    ("dragonfly", OTHER_OS | DESKTOP),
    ("dreamcast", CONSOLE | OTHER_OS),
    ("edg", EDGE | ENGINE),
    ("edga", EDGE | ANDROID | ENGINE),
    ("edge", EDGE | ENGINE),
    ("edgios", EDGE | IOS | ENGINE),
    ("espial", TV),
    ("fedora", LINUX | DESKTOP),
    ("firefox", FIREFOX | ENGINE),
    ("firetv", TV | ANDROID),
    ("freebsd", OTHER_OS | DESKTOP),
    ("fxios", FIREFOX | IOS | ENGINE),
    ("gecko", ENGINE),
    ("gentoo", LINUX | DESKTOP),
    ("googletv", TV | ANDROID),
    ("gpos", OTHER_OS),
    ("gtb", NEUTRAL),
    ("gzip", NEUTRAL),
    ("haiku", OTHER_OS | DESKTOP),
    ("harmonyos", OTHER_OS),
    ("hbbtv", TV),
    ("hpwos", OTHER_OS | MOBILE),
    ("i386", INTEL),
    ("iceweasel", FIREFOX | ENGINE),
    ("iemobile", EXPLORER | WINDOWS_PHONE),
    ("imac", MAC),
    ("inettvbrowser", TV),
    ("intel", INTEL),
    ("ios", IOS),
    ("ipad", IPAD),
    ("ipados", IPAD),
    ("iphone", IPHONE),
    ("ipod", IPHONE),
    ("j2me", MOBILE),
    ("kaios", OTHER_OS | MOBILE),
    ("khtml", NEUTRAL),
    ("kindle", TABLET),
    ("kobo", TABLET),
    ("kubuntu", LINUX | DESKTOP),
    ("like", NEUTRAL),
    ("linux", LINUX),
    ("mac", MAC),
    ("macbook", MAC),
    ("macbookair", MAC),
    ("macbookpro", MAC),
    ("macintosh", MAC),
    ("macmini", MAC),
    ("macos", MAC),
    ("maemo", OTHER_OS | MOBILE),
    ("mageia", LINUX | DESKTOP),
    ("mandriva", LINUX | DESKTOP),
    ("maple", TV | OTHER_OS),
    ("maui", OTHER_OS | MOBILE),
    ("meego", OTHER_OS | MOBILE),
    ("mibox", TV),
    ("midp", MOBILE),
    ("minefield", FIREFOX | ENGINE),
    ("mini", MOBILE),
    ("mint", LINUX | DESKTOP),
    ("mmp", MOBILE),
    ("mobi", MOBILE),
    ("mobile", MOBILE),
    ("mozilla", NEUTRAL),
    ("msie", EXPLORER),
    ("namoroka", FIREFOX | ENGINE),
    ("netbsd", OTHER_OS | DESKTOP),
    ("netcast", TV | OTHER_OS),
    ("netfront", FOREIGN),
    ("nintendo", CONSOLE | OTHER_OS),
    ("nokia", MOBILE),
    ("nook", TABLET),
    ("obigo", MOBILE | FOREIGN),
    ("oculus", OTHER_DEVICE),
    ("oculusbrowser", OTHER_DEVICE | FOREIGN),
    ("onebrowser", MOBILE | FOREIGN),
    ("openbsd", OTHER_OS | DESKTOP),
    ("openharmony", OTHER_OS),
    ("openwave", MOBILE | FOREIGN),
    ("opera", OPERA | ENGINE),
    ("opios", OPERA | IOS | ENGINE),
    ("opr", OPERA | ENGINE),
    ("opt", OPERA | ENGINE),
    ("opx", OPERA | ENGINE),
    ("palmos", OTHER_OS | MOBILE),
    ("palmsource", OTHER_OS | MOBILE),
    ("phone", POCKET),
    ("playbook", OTHER_OS | TABLET),
    ("playstation", CONSOLE | OTHER_OS),
    ("ppc", POCKET),
    ("presto", NEUTRAL),
    ("psp", CONSOLE | OTHER_OS),
    ("qtcarbrowser", OTHER_DEVICE | FOREIGN),
    ("qtv", MOBILE),
    ("redhat", LINUX | DESKTOP),
    ("rim", OTHER_OS | MOBILE),
    ("roku", TV | OTHER_OS),
    ("s60", OTHER_OS | MOBILE),
    ("s60v", OTHER_OS | MOBILE),
    ("safari", SAFARI | ENGINE),
    ("sailfish", OTHER_OS | MOBILE),
    ("samsungbrowser", SAMSUNG | ENGINE),
    ("series", OTHER_OS | MOBILE),
    ("sgh", MOBILE),
    ("shiretoko", FIREFOX | ENGINE),
    ("silk", ANDROID | TABLET | FOREIGN),
    ("smarttv", TV),
    ("sph", MOBILE),
    ("stb", TV),
    ("sunos", OTHER_OS | DESKTOP),
    ("suse", LINUX | DESKTOP),
    ("symbian", OTHER_OS | MOBILE),
    ("symbianos", OTHER_OS | MOBILE),
    ("symbos", OTHER_OS | MOBILE),
    ("tablet", TABLET),
    ("tesla", OTHER_DEVICE),
    ("tizen", OTHER_OS),
    ("touchpad", OTHER_OS | TABLET),
    ("trident", EXPLORER),
    ("tv", TV),
    ("tvos", TV | OTHER_OS),
    ("ubuntu", LINUX | DESKTOP),
    ("ucweb", MOBILE | FOREIGN),
    ("version", VERSION),
    ("viera", TV),
    ("visionos", OTHER_DEVICE | OTHER_OS),
    ("vizio", TV),
    ("vr", OTHER_DEVICE),
    ("watchos", WEARABLE | OTHER_OS),
    ("wds", WINDOWS_PHONE),
    ("web0s", TV | OTHER_OS),
    ("webos", OTHER_OS),
    ("webtv", TV | OTHER_OS),
    ("win", WINDOWS),
    ("windows", WINDOWS),
    ("windowsce", WINDOWS | POCKET),
    ("wv", WEB_VIEW),
    ("x86", INTEL),
    ("xblwp", WINDOWS_PHONE),
    ("xbox", CONSOLE),
    ("zunewp", WINDOWS_PHONE),
];

/// The longest word that is looked up, bytes.
const WORD_BYTES: usize = 16;

/// [`WORDS`] by key: numbers compare in one step, texts in many.
static KEYS: [(u128, Signals); WORDS.len()] = keys();

const fn keys() -> [(u128, Signals); WORDS.len()] {
    let mut keys = [(0, 0); WORDS.len()];
    let mut at = 0;
    while at < WORDS.len() {
        let (word, signals) = WORDS[at];
        keys[at] = (key(word.as_bytes()), signals);
        at += 1;
    }
    keys
}

/// The word's letters in lower case as a number that sorts as the word does; 0, which is no
/// word's, for one that is too long.
const fn key(word: &[u8]) -> u128 {
    if word.len() > WORD_BYTES {
        return 0;
    }
    let (mut key, mut at) = (0, 0);
    while at < WORD_BYTES {
        let byte = if at < word.len() { word[at].to_ascii_lowercase() } else { 0 };
        key = key << 8 | byte as u128;
        at += 1;
    }
    key
}

/// What a word of letters and digits means, in any case; `None` for one that means nothing here.
pub(super) fn meaning(word: &[u8]) -> Option<Signals> {
    let find = |word: &[u8]| {
        let at = KEYS.binary_search_by_key(&key(word), |(key, _)| *key).ok()?;
        KEYS.get(at).map(|(_, signals)| *signals)
    };
    find(word).or_else(|| {
        // iPhone12, SmartTV2013, Win98: the number says no more.
        let len = word.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
        if len < word.len() { word.get(..len).and_then(find) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_can_be_searched() {
        assert!(KEYS.is_sorted_by(|a, b| 0 < a.0 && a.0 < b.0));
        assert_eq!(meaning(b"Samsungbrowser"), Some(SAMSUNG | ENGINE));
        assert_eq!(meaning(&[b'a'; WORD_BYTES + 1]), None);
        assert!(WORDS.iter().all(|(word, _)| word.bytes().all(|b| b.is_ascii_alphanumeric())));
        assert_eq!(meaning(b"smarttv2013"), Some(TV));
        assert_eq!(meaning(b"smarttvs"), None);
        assert_eq!(meaning(b"2013"), None);
    }
}

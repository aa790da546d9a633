//! Every size that has a limit, in one place. A name ends in its unit. `docs/limits.md` is tested
//! against this file.

/// The longest retention, days.
pub const RETENTION_DAYS_MAX: u16 = 90;
/// The most partitions of a store.
pub const PARTITIONS_MAX: u16 = 1024;
/// Partitions of a new store.
pub const PARTITIONS_DEFAULT: u16 = 16;
/// How far ahead a hit's time may be, seconds; it is then stored as now.
pub const FUTURE_SECONDS_MAX: i64 = 300;

/// A request's query string, or the form in the body of a pixel, bytes.
pub const QUERY_BYTES: usize = 16 * 1024;
/// Query parameters read of one request.
pub const QUERY_PARAMS: usize = 128;
/// All cookie headers of one request, bytes.
pub const COOKIE_HEADER_BYTES: usize = 16 * 1024;
/// The body of one `POST /api/v1/hits`, bytes.
pub const HITS_BODY_BYTES: usize = 4 * 1024 * 1024;
/// How deep lists and maps may be nested in a MessagePack body.
pub const HITS_BODY_DEPTH: usize = 16;
/// Hits in one `POST /api/v1/hits`.
pub const HITS_PER_BODY: usize = 10_000;
/// The body of any other API call, bytes.
pub const API_BODY_BYTES: usize = 8 * 1024 * 1024;
/// One line of a replayed file, bytes.
pub const REPLAY_LINE_BYTES: usize = 64 * 1024;

/// A consent string of any kind, bytes.
pub const CONSENT_BYTES: usize = 8 * 1024;
/// `gpp_sid` and `us_privacy`, bytes.
pub const CONSENT_SHORT_BYTES: usize = 128;
/// A page's URL, bytes.
pub const URL_BYTES: usize = 2048;
/// A host name, bytes.
pub const HOST_BYTES: usize = 255;
/// A page's title, bytes; longer ones are cut.
pub const TITLE_BYTES: usize = 512;
/// Keywords, and publisher categories, of a page.
pub const PAGE_WORDS: usize = 64;
/// One keyword or publisher category, bytes; longer ones are cut.
pub const PAGE_WORD_BYTES: usize = 128;
/// Versions of one URL on one day; later ones keep the last.
pub const PAGE_VERSIONS_PER_DAY: usize = 32;
/// New pages of a site on one UTC day, unless the site says otherwise.
pub const PAGES_PER_DAY: u32 = 1_000_000;
/// Keys tried when interning finds another value under a key.
pub const INTERN_STEPS: u64 = 8;

/// Each of a campaign's texts, bytes; longer ones are cut.
pub const CAMPAIGN_BYTES: usize = 64;
/// An event's name, bytes.
pub const EVENT_NAME_BYTES: usize = 64;
/// Attributes of one hit.
pub const ATTRIBUTES: usize = 32;
/// An attribute's name, bytes.
pub const ATTRIBUTE_NAME_BYTES: usize = 64;
/// An attribute's text value, bytes.
pub const ATTRIBUTE_VALUE_BYTES: usize = 256;
/// A client's hit id, bytes.
pub const HIT_ID_BYTES: usize = 128;
/// A foreign visitor id, bytes.
pub const FOREIGN_ID_BYTES: usize = 256;
/// A partner's id of a visitor, bytes.
pub const PARTNER_UID_BYTES: usize = 512;
/// How often a partner's id of a visitor may change on one day.
pub const UID_CHANGES_PER_DAY: u8 = 20;
/// Partners of a store.
pub const PARTNERS: usize = 1000;
/// Destinations of a store.
pub const DESTINATIONS: usize = 1000;
/// Partners that one visit is led through by redirects, or asked for at once.
pub const SYNC_CHAIN: usize = 5;
/// The body of one `POST /cookie_sync`, bytes.
pub const COOKIE_SYNC_BYTES: usize = 64 * 1024;
/// An id space's name, bytes.
pub const SPACE_NAME_BYTES: usize = 32;
/// What is remembered of a visitor's foreign ids in ten days, bytes; an id beyond it runs out
/// by itself.
pub const NAMES_BYTES: usize = 4096;
/// Engaged time in one hit, seconds; more is cut.
pub const ENGAGED_SECONDS_PER_HIT: u16 = 3600;

/// Hits waiting between the listener and the store.
pub const INTAKE_HITS: usize = 64 * 1024;
/// Hits in one group commit.
pub const GROUP_HITS: usize = 4096;
/// Bytes of one stored entry (one batch's hits of one day), bytes.
pub const ENTRY_BYTES: usize = 1024 * 1024;
/// Days that one batch may span.
pub const BATCH_DAYS: usize = 92;
/// The spill file, bytes.
pub const SPILL_BYTES: u64 = 1024 * 1024 * 1024;
/// How long a collector keeps acknowledged batches for a resend, seconds.
pub const RESEND_SECONDS: i64 = 15;
/// How often a collector sends an entry without hits to each partition, seconds; more seldom where
/// there are more than 120 partitions, so that it sends four a second at most.
pub const HEARTBEAT_SECONDS: u64 = 30;
/// How long a hit id is remembered, hours (at least).
pub const HIT_ID_HOURS: i64 = 24;
/// Ordinals in one leased block.
pub const ORDINAL_BLOCK: u32 = 1024;
/// How far the counter jumps when the server behind it may have lost leases.
pub const ORDINAL_JUMP: u32 = 1 << 20;

/// How long a visitor cookie counts after its issue, days.
pub const COOKIE_DAYS_MAX: u16 = 395;
/// How long an opt-out is kept: the most that browsers keep a cookie, seconds.
pub const OPTOUT_SECONDS: i64 = 400 * 86_400;
/// How long a probe cookie counts after its issue, seconds.
pub const PROBE_SECONDS: i64 = 600;
/// Blocks of ordinals that a collector keeps in reserve for each partition.
pub const ORDINAL_BLOCKS_READY: usize = 2;
/// Pages (and URLs) that a collector remembers as interned.
pub const INTERNED_PAGES: usize = 64 * 1024;
/// Consent states that a collector remembers as interned; all are forgotten when there are more.
pub const INTERNED_CONSENTS: usize = 4096;
/// User agents that a collector remembers as read, each of at most a kibibyte.
pub const AGENTS: usize = 4096;
/// Hits, and visitors, whose last moments a collector remembers to find repeats and automata.
pub const RECENT_HITS: usize = 128 * 1024;
/// Refusals of known visitors that wait for a look at what was granted before.
pub const NOES: usize = 1024;
/// How long a link from a site's page to what is held is good at least, seconds.
pub const PASS_SECONDS: i64 = 600;
/// How long the script tag keeps a visitor's id, days.
pub const FIRST_PARTY_DAYS: u16 = 90;
/// Names of signals that are counted for a site.
pub const SIGNALS_PER_SITE: usize = 1000;
/// Pixels that are kept for who looks on.
pub const TAIL_PIXELS: usize = 1000;
/// Foreign ids whose visitors a collector remembers.
pub const FOREIGN_IDS: usize = 256 * 1024;
/// Acknowledged batches that a collector keeps for a resend, bytes.
pub const RESEND_BYTES: usize = 64 * 1024 * 1024;
/// Batches whose numbers and sizes a collector remembers, to count what a failover lost.
pub const LANE_HISTORY_BATCHES: usize = 64 * 1024;
/// Batches in one append of a resend or of the spill's drain.
pub const DRAIN_BATCHES: usize = 64;
/// One file of the spill, bytes; full ones are closed, drained ones deleted whole.
pub const SPILL_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Hits in one sealed block, about.
pub const BLOCK_HITS: usize = 1000;
/// A chunk of cells, bytes; a larger cell is its own chunk.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Visitors in one cell (a partition, day and category).
pub const CELL_ENTRIES: usize = 1 << 24;
/// What one read of big values may fetch at a time, bytes.
pub const READ_BYTES: usize = 4 * 1024 * 1024;
/// Dirty cells of one partition that force a checkpoint, bytes.
pub const DIRTY_BYTES: usize = 64 * 1024 * 1024;

/// Findings that one audit lists.
pub const AUDIT_FINDINGS: usize = 1000;

/// Depth of the category tree.
pub const CATEGORY_DEPTH: usize = 8;
/// Categories of a store.
pub const CATEGORIES: usize = 100_000;
/// One level of a category's name, bytes.
pub const NAME_BYTES: usize = 128;
/// Segments of a store.
pub const SEGMENTS: usize = 10_000;
/// Rules of one category.
pub const RULES_PER_CATEGORY: usize = 10_000;
/// The text of one rule or expression, bytes.
pub const RULE_BYTES: usize = 64 * 1024;
/// Nesting of parentheses and `not` in a rule or expression.
pub const RULE_DEPTH: usize = 64;
/// Labels of one segment.
pub const LABELS: usize = 32;
/// Days that sizes are told of.
pub const SIZES_DAYS: u16 = 400;
/// Word lists.
pub const WORD_LISTS: usize = 1000;
/// Words and phrases of a word list.
pub const WORDS_PER_LIST: usize = 10_000;
/// Words and phrases of all lists together.
pub const WORDS: usize = 200_000;
/// Categories that one implies.
pub const IMPLIED: usize = 100;
/// Categories that a hit in one falls in: those above it, those that it implies, and so on.
pub const GIVEN: usize = 1000;
/// Exceptions of a category.
pub const EXCEPTIONS: usize = 1000;
/// Characters of the basis on which a sensitive category is enabled.
pub const BASIS_CHARS: usize = 1000;
/// Leaves of one expression after other segments are put in.
pub const LEAVES: usize = 1000;
/// Hours of a window of hours.
pub const WINDOW_HOURS: u16 = 72;
/// Categories that follow one another in one sequence.
pub const SEQUENCE_STEPS: usize = 5;
/// Conditions with windows of hours, filters or sequences, of all segments together: each keeps
/// its own hits in memory.
pub const TRACES: usize = 500;
/// The same in one question that no segment asks.
pub const TRACES_ASKED: usize = 10;
/// Hits of one visitor that such a condition looks at: the newest.
pub const TRACE_HITS: usize = 4096;
/// How much of a segment may go by a change that does not say so, percent of its members.
pub const DROP_PERCENT: u64 = 50;
/// Members from which on such a loss is looked at.
pub const DROP_MEMBERS: u64 = 100;
/// A file with a partner's audiences as it is sent, bytes.
pub const IMPORT_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// The same once it is unpacked, bytes.
pub const IMPORT_UNPACKED_BYTES: u64 = 64 * 1024 * 1024 * 1024;
/// One line of it, bytes.
pub const IMPORT_LINE_BYTES: usize = 128 * 1024;
/// Lines that cannot be read, and unknown codes, that a receipt names.
pub const IMPORT_BAD: usize = 100;
/// What an author may say of a change, bytes.
pub const WHY_BYTES: usize = 1000;
/// Segments whose overlaps are told at once.
pub const OVERLAP_SEGMENTS: usize = 20;
/// Hits that are named for one condition of a segment, the newest.
pub const WHY_HITS: usize = 10;
/// Hits of today and yesterday that lints look at.
pub const LINT_HITS: usize = 20_000;
/// Entries of cells (8 bytes each) that a process keeps decoded for the next question.
pub const KEPT_ENTRIES: usize = 8 * 1024 * 1024;
/// Rules that are explained for one page: that fired, and that nearly did.
pub const WHY_RULES: usize = 50;
/// Rows of one page of a list.
pub const LIST_ROWS: usize = 10_000;
/// Visitors of one lookup.
pub const LOOKUPS: usize = 1000;
/// Categories that a page is told of as its visitor's interests.
pub const INTERESTS: usize = 100;
/// Members of a sample.
pub const SAMPLE_MEMBERS: usize = 1000;
/// A regular expression's text, bytes.
pub const REGEX_BYTES: usize = 1024;
/// Day cells of each partition that one question may ask for; at 20 million hits in 16 partitions
/// reading so many takes seconds.
pub const CELLS_ASKED: usize = 20_000;
/// Values of a fact (countries, languages …) that a composition tells apart.
pub const FACT_VALUES: usize = 10_000;
/// A compiled regular expression above which `mayfly lint` tells of it, bytes.
pub const REGEX_COSTLY_BYTES: usize = 128 * 1024;
/// A compiled regular expression, bytes.
pub const REGEX_COMPILED_BYTES: usize = 1024 * 1024;
/// A definitions file, bytes.
pub const DEFINITIONS_BYTES: usize = 8 * 1024 * 1024;
/// The highest `visited(…)` threshold: a count saturates at 255 a day, so this is always exact.
pub const VISITED_MAX: u32 = 255;
/// The highest `engaged(…)` threshold, seconds: seconds saturate at 65,535 a day.
pub const ENGAGED_MAX: u32 = 65_535;

/// Problems listed of one definitions file.
pub const PROBLEMS: usize = 100;
/// Sites of a store.
pub const SITES: usize = 10_000;
/// Origins of one site.
pub const ORIGINS_PER_SITE: usize = 100;
/// Names in each list of a site's data plan.
pub const PLAN_NAMES: usize = 1000;
/// Pages whose classification a partition remembers, in each of two generations.
pub const MEMO_PAGES: usize = 16 * 1024;

const _: () = assert!(INTAKE_HITS >= GROUP_HITS);
const _: () = assert!(BATCH_DAYS > RETENTION_DAYS_MAX as usize);
const _: () = assert!(URL_BYTES <= QUERY_BYTES);
const _: () = assert!(PARTITIONS_MAX.is_power_of_two() && PARTITIONS_DEFAULT.is_power_of_two());
const _: () = assert!(CHUNK_BYTES <= READ_BYTES);

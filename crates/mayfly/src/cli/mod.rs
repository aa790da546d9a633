//! The command line: one verb a task, `--json` where a person may want to pipe.
//!
//! Commands talk to the running server when there is one; else they open the store themselves and
//! serve it to themselves on a loopback port, so that both ways are one ([`client`]).
//! Exit codes: 0 done, 1 failed, 2 wrong use.

mod analysis;
mod client;
mod consent;
mod definitions;
mod deliveries;
mod doctor;
mod exports;
mod feeds;
mod imports;
mod insights;
mod output;
mod partners;
mod people;
mod replay;
mod segments;
mod sites;
mod taxonomy;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Flags, Settings};
use crate::tokens::Role;

/// A cookie-based data management platform with a store that forgets.
#[derive(Debug, Parser)]
#[command(name = "mayfly", version, max_term_width = 100)]
struct Line {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Global {
    /// Settings file (TOML); `mayfly config show` prints every key
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of the embedded store, the spill and the admin token [default: ./mayfly-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first definitions file and print the snippet for the page
    Init {
        /// The site's origin, such as https://news.example
        #[arg(long, value_name = "URL")]
        origin: String,
        /// Where to write the definitions
        #[arg(long, default_value = "mayfly.toml", value_name = "FILE")]
        file: PathBuf,
    },
    /// Collect hits, build segments, answer: all roles in one process
    Serve {
        /// Address of the public listener [default: 127.0.0.1:8080]
        #[arg(long, value_name = "ADDR:PORT")]
        bind: Option<String>,
        /// Only some roles
        #[arg(long, value_delimiter = ',', value_name = "ROLE")]
        role: Vec<crate::serve::Role>,
        /// Serve the demo pages at /demo/ and apply their definitions
        #[arg(long)]
        demo: bool,
    },
    /// Send one hit through the real admission and say what became of it
    Hit {
        /// The page
        url: String,
        /// The site's key
        #[arg(long, value_name = "KEY")]
        site: String,
        /// A visitor by name; the same name is the same visitor
        #[arg(long = "as", value_name = "NAME", default_value = "cli")]
        name: String,
        /// The page's title
        #[arg(long, default_value = "")]
        title: String,
    },
    /// Show what a definitions file would change, in members per segment
    Plan {
        /// The definitions file
        file: PathBuf,
        /// Also remove what the file does not name
        #[arg(long)]
        prune: bool,
    },
    /// Apply a definitions file as one change
    Apply {
        /// The definitions file
        file: PathBuf,
        /// Also remove what the file does not name
        #[arg(long)]
        prune: bool,
        #[command(flatten)]
        change: ChangeOptions,
    },
    /// Run the fixtures in a definitions file
    Test {
        /// The definitions file
        file: PathBuf,
    },
    /// Definitions as code
    #[command(subcommand)]
    Definitions(DefinitionsCommand),
    /// Standard taxonomies
    #[command(subcommand)]
    Taxonomy(taxonomy::TaxonomyCommand),
    /// Partners: list, match rate
    #[command(subcommand)]
    Partner(partners::PartnerCommand),
    /// Sites
    #[command(subcommand)]
    Site(SiteCommand),
    /// Follow the pixels of a site as they come
    Tail {
        /// The site's key
        #[arg(long, value_name = "KEY")]
        site: String,
        /// End after so many seconds; 0 = never
        #[arg(long, default_value_t = 0, value_name = "SECONDS")]
        seconds: u64,
    },
    /// Consent strings
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// Bring a real log in, through the same admission as the pixel
    Replay(replay::Replay),
    /// Segments: list, count, members
    #[command(subcommand)]
    Segment(SegmentCommand),
    /// Bring a partner's audiences in, with a receipt
    Import(imports::Import),
    /// Segments to files
    #[command(subcommand)]
    Export(exports::ExportCommand),
    /// Deliveries to partners: list, show, dry run, what is held
    #[command(subcommand)]
    Delivery(deliveries::DeliveryCommand),
    /// What is held about a visitor
    #[command(subcommand)]
    Visitor(VisitorCommand),
    /// Proof that nothing is older than allowed
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// Why a page falls in its categories
    #[command(subcommand)]
    Page(PageCommand),
    /// What is odd about definitions: contradictions, parts without effect, names that never come
    Lint {
        /// A definitions file [default: what is in force]
        file: Option<PathBuf>,
    },
    /// Access tokens
    #[command(subcommand)]
    Token(TokenCommand),
    /// Settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Raise the number of partitions while everything runs; nothing moves
    RaisePartitions {
        /// The new number: a power of two, more than now
        to: u16,
    },
    /// How the system is: hits, partitions, lag
    Status,
    /// Look for what an operator should change
    Doctor,
}

#[derive(Debug, Subcommand)]
enum DefinitionsCommand {
    /// Print the definitions in force as a file that `apply` takes
    Export {
        /// Those of this version instead
        #[arg(long)]
        version: Option<u32>,
    },
    /// Every version that there was: who, when, why, what changed
    History,
    /// Go back to an earlier version, as a new one
    Revert {
        /// The version
        version: u32,
        #[command(flatten)]
        change: ChangeOptions,
    },
}

/// Options of every change of definitions.
#[derive(Debug, Args)]
struct ChangeOptions {
    /// What the change is for; kept in the history
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    why: String,
    /// Refuse unless this version is in force: the one that `plan` showed
    #[arg(long, value_name = "VERSION")]
    expect: Option<u32>,
    /// Also where a segment of 100 members or more loses over half of them
    #[arg(long)]
    allow_drop: bool,
}

#[derive(Debug, Subcommand)]
enum SiteCommand {
    /// Print what a page embeds: the script tag, and a pixel for browsers without scripts
    Snippet {
        /// The site's key
        key: String,
        /// Where browsers reach this server, such as https://px.news.example
        #[arg(long, value_name = "URL")]
        server: Option<String>,
    },
    /// Show what the site sends that no rule uses, with counts
    Unmapped {
        /// The site's key
        key: String,
    },
}

#[derive(Debug, Subcommand)]
enum ConsentCommand {
    /// Say what a consent string holds, and whether a hit under it would be kept
    Explain {
        /// A TC, GPP, US Privacy or additional consent string
        string: String,
        /// Decide for this site
        #[arg(long, value_name = "KEY")]
        site: Option<String>,
        /// Also say whether this vendor of the Global Vendor List may receive the hit
        #[arg(long, value_name = "VENDOR_ID")]
        receiver: Option<u16>,
    },
}

#[derive(Debug, Subcommand)]
enum SegmentCommand {
    /// All segments with their sizes
    List,
    /// The exact size of a segment, or of any expression
    Count {
        /// The segment's name
        #[arg(required_unless_present = "rule")]
        name: Option<String>,
        /// An expression instead of a name
        #[arg(long, value_name = "EXPR", conflicts_with = "name")]
        rule: Option<String>,
    },
    /// Its members, one a line
    Members {
        /// The segment's name
        name: String,
    },
    /// A few of its members, one a line
    Sample {
        /// The segment's name
        name: String,
        /// How many
        #[arg(long, default_value_t = 20)]
        number: u64,
    },
    /// How many visitors each two segments have in common
    Overlap {
        /// Names of segments, or expressions
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// What its members do more or less than everybody, category by category
    Composition {
        /// The segment's name, or an expression
        name: String,
        /// Hits of so many days count
        #[arg(long, default_value_t = 30)]
        days: u16,
        /// Instead of categories: device, os, browser, referrer, hour, weekday, language, country
        /// or site, read off all page views
        #[arg(long, value_name = "FACT")]
        by: Option<String>,
    },
    /// How large it was at the end of each day
    Sizes {
        /// The segment's name, or an expression
        name: String,
        /// So many days, today included
        #[arg(long, default_value_t = 30)]
        days: u16,
    },
    /// Why a visitor is a member, or is not: each condition and the hits behind it
    Why {
        /// The segment's name
        name: String,
        /// A cookie value, space:id, or partition.ordinal
        #[arg(long, value_name = "ID")]
        visitor: String,
    },
}

#[derive(Debug, Subcommand)]
enum PageCommand {
    /// Each rule that fires, the text that met it, and rules that nearly do; nothing is stored
    Why(why::PageAsked),
}

#[derive(Debug, Subcommand)]
enum VisitorCommand {
    /// Everything held about a visitor
    Show {
        /// Cookie value, space:id, or partition.ordinal
        id: String,
    },
    /// Erase a visitor
    Erase {
        /// Cookie value, space:id, or partition.ordinal
        id: String,
        /// Have the bytes go at once, not in the night
        #[arg(long)]
        now: bool,
    },
}

#[derive(Debug, Subcommand)]
enum RetentionCommand {
    /// Look at every key and file for behaviour that outlives the retention
    Audit {
        /// Folders of exports to look through, too
        #[arg(long, value_name = "DIR")]
        exports: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token; its secret is printed once
    Create {
        /// A name for it
        name: String,
        /// What its holder may do
        #[arg(long)]
        role: Role,
        /// Only for this site; may be given several times
        #[arg(long = "site", value_name = "KEY")]
        sites: Vec<String>,
        /// For this partner: it may pull the files of its destinations
        #[arg(long, value_name = "KEY")]
        partner: Option<String>,
    },
    /// All tokens
    List,
    /// Take a token back
    Revoke {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check the settings
    Check,
    /// Print every setting and where it came from
    Show,
}

/// Runs the program on its arguments.
#[must_use]
pub fn run() -> ExitCode {
    let line = match Line::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // Help and version are no errors; clap prints to the right stream.
            let wrong_use = error.use_stderr();
            error.print().ok();
            return ExitCode::from(if wrong_use { 2 } else { 0 });
        }
    };
    match dispatch(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::from(1)
        }
    }
}

fn dispatch(line: Line) -> anyhow::Result<()> {
    let Line { global, command } = line;
    if let Command::Init { origin, file } = &command {
        return definitions::init(origin, file);
    }
    let bind = if let Command::Serve { bind, .. } = &command { bind.clone() } else { None };
    let flags = Flags { file: global.config.clone(), data: global.data.clone(), bind };
    let settings = Settings::load(&flags, std::env::vars())?;
    let asks = Asks { settings, json: global.json };
    match command {
        Command::Init { .. } => Ok(()),
        Command::Serve { role, demo, .. } => crate::serve::run(asks.settings, &role, demo),
        Command::Hit { url, site, name, title } => segments::hit(&asks, &url, &site, &name, &title),
        Command::Plan { file, prune } => definitions::plan(&asks, &file, prune),
        Command::Apply { file, prune, change } => definitions::apply(&asks, &file, prune, &change),
        Command::Test { file } => definitions::test(&asks, &file),
        Command::Definitions(DefinitionsCommand::Export { version }) => {
            definitions::export(&asks, version)
        }
        Command::Definitions(DefinitionsCommand::History) => definitions::history(&asks),
        Command::Definitions(DefinitionsCommand::Revert { version, change }) => {
            definitions::revert(&asks, version, &change)
        }
        Command::Taxonomy(command) => taxonomy::run(&asks, command),
        Command::Partner(command) => partners::run(&asks, command),
        Command::Site(SiteCommand::Snippet { key, server }) => {
            sites::snippet(&asks, &key, server.as_deref())
        }
        Command::Site(SiteCommand::Unmapped { key }) => sites::unmapped(&asks, &key),
        Command::Tail { site, seconds } => sites::tail(&asks, &site, seconds),
        Command::Consent(ConsentCommand::Explain { string, site, receiver }) => {
            consent::explain(&asks, &string, site.as_deref(), receiver)
        }
        Command::Replay(replay) => replay::run(&asks, &replay),
        Command::Import(import) => imports::run(&asks, &import),
        Command::Segment(SegmentCommand::List) => segments::list(&asks),
        Command::Segment(SegmentCommand::Count { name, rule }) => {
            segments::count(&asks, name.as_deref(), rule.as_deref())
        }
        Command::Segment(SegmentCommand::Members { name }) => segments::members(&asks, &name),
        Command::Segment(SegmentCommand::Sample { name, number }) => {
            insights::sample(&asks, &name, number)
        }
        Command::Segment(SegmentCommand::Overlap { names }) => insights::overlap(&asks, &names),
        Command::Segment(SegmentCommand::Composition { name, days, by }) => {
            insights::composition(&asks, &name, days, by.as_deref())
        }
        Command::Segment(SegmentCommand::Sizes { name, days }) => {
            insights::sizes(&asks, &name, days)
        }
        Command::Segment(SegmentCommand::Why { name, visitor }) => why::why(&asks, &name, &visitor),
        Command::Lint { file } => definitions::lint(&asks, file.as_deref()),
        Command::Page(PageCommand::Why(asked)) => why::page(&asks, &asked),
        Command::Export(command) => exports::run(&asks, &command),
        Command::Delivery(command) => deliveries::run(&asks, command),
        Command::Visitor(VisitorCommand::Show { id }) => people::show(&asks, &id),
        Command::Visitor(VisitorCommand::Erase { id, now }) => people::erase(&asks, &id, now),
        Command::Retention(RetentionCommand::Audit { exports }) => people::audit(&asks, &exports),
        Command::Token(TokenCommand::Create { name, role, sites, partner }) => {
            people::new_token(&asks, &name, role, (&sites, partner.as_deref()))
        }
        Command::Token(TokenCommand::List) => people::tokens(&asks),
        Command::Token(TokenCommand::Revoke { name }) => people::revoke(&asks, &name),
        Command::Config(ConfigCommand::Check) => doctor::config_check(&asks),
        Command::Config(ConfigCommand::Show) => doctor::config_show(&asks),
        Command::RaisePartitions { to } => doctor::raise_partitions(&asks, to),
        Command::Status => doctor::status(&asks),
        Command::Doctor => doctor::doctor(&asks),
    }
}

/// What every command gets: the settings, and how to answer.
struct Asks {
    settings: Settings,
    json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Line::command().debug_assert();
    }
}

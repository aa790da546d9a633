//! What user agents amount to, remembered: there are far fewer agents than requests, and reading
//! one costs more than all else that is done with its request's headers.

use std::sync::{Mutex, PoisonError};

use mayfly_core::{Client, Site, limits};

use crate::bots::{self, BotKind, Bots};
use crate::client::{self, Hints};
use crate::recent::Recent;
use crate::refusal::Reason;

/// The agents of this process.
#[derive(Debug)]
pub(crate) struct Agents {
    /// `None` only if the patterns that are built in were broken.
    bots: Option<Bots>,
    known: Mutex<Recent<Box<str>, Asker>>,
}

/// Who asks, as far as the headers tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asker {
    /// Why it counts as an automaton's.
    pub(crate) bot: Option<BotKind>,
    pub(crate) client: Client,
}

impl Asker {
    /// Refuses an automaton, where the site does not keep them.
    pub(crate) fn may_ask(&self, site: &Site) -> Result<(), Reason> {
        self.bot.filter(|_| !site.keeps_bots).map_or(Ok(()), |kind| Err(Reason::Bot(kind)))
    }
}

impl Agents {
    /// None known yet.
    pub(crate) fn new() -> Self {
        Self { bots: Bots::new().ok(), known: Mutex::new(Recent::new(limits::AGENTS)) }
    }

    /// Who asks with these headers.
    pub(crate) fn asker(&self, hints: &Hints<'_>) -> Asker {
        let by_agent = self.by_agent(client::agent_of(hints));
        Asker {
            bot: by_agent.bot.or_else(|| bots::impossible_hints(hints)),
            client: client::hinted(by_agent.client, hints),
        }
    }

    fn by_agent(&self, agent: &str) -> Asker {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asker) = known().get(agent) {
            return *asker;
        }
        let bot = self.bots.as_ref().and_then(|bots| bots.judge_agent(agent));
        let asker = Asker { bot, client: client::by_agent(agent) };
        known().insert(agent.into(), asker);
        asker
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_agent_is_told_as_a_new_one_with_the_hints_of_its_own_request() {
        let agents = Agents::new();
        let browser =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36";
        let (long, fresh) = (format!("{browser} {}", "x".repeat(3000)), Bots::new().unwrap());
        for agent in [browser, &long, "Googlebot/2.1", "-", "", " curl/8.5 ", "short"] {
            for hints in [
                Hints::default(),
                Hints { mobile: Some("?1"), platform: Some("\"Android\""), ..Hints::default() },
                Hints { mobile: Some("?1"), platform: Some("\"Windows\""), ..Hints::default() },
                Hints { ua: Some("\"HeadlessChrome\";v=\"124\""), ..Hints::default() },
            ] {
                let hints = Hints { user_agent: Some(agent), ..hints };
                let expected = Asker { bot: fresh.judge(&hints), client: client::client(&hints) };
                for _ in 0..2 {
                    assert_eq!(agents.asker(&hints), expected, "{hints:?}");
                }
            }
        }
    }
}

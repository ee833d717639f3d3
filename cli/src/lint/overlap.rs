//! Whether two regexes match a stream name that is the same, decided on their automata.

use std::collections::{HashMap, VecDeque};

use regex_automata::dfa::Automaton;
use regex_automata::dfa::dense::{Config, DFA};
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, MatchKind, util::start};

/// Most pairs of states looked at, and most bytes an automaton may take: beyond, nothing is said.
const MAX_PAIRS: usize = 200_000;
const MAX_BYTES: usize = 4 << 20;

/// The characters of stream names, the plainest first, so that examples are readable.
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz.-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A shortest stream name that both patterns match (`/body/modifiers`); `None` where there is none, or none is found.
pub(super) fn common_name(one: &str, other: &str) -> Option<String> {
    let (one, other) = (automaton(one)?, automaton(other)?);
    let first: Pair = (Side::start(&one)?, Side::start(&other)?);
    // How each pair was reached: from which, by which letter.
    let mut reached: HashMap<Pair, Option<(Pair, u8)>> = HashMap::from([(first, None)]);
    let mut queue = VecDeque::from([first]);
    while let Some(pair) = queue.pop_front() {
        // No name is empty.
        if pair != first && pair.0.ends_matched(&one) && pair.1.ends_matched(&other) {
            let mut name = Vec::new();
            let mut at = pair;
            while let Some(Some((before, letter))) = reached.get(&at) {
                name.push(*letter);
                at = *before;
            }
            name.reverse();
            return String::from_utf8(name).ok();
        }
        if reached.len() > MAX_PAIRS {
            return None;
        }
        for letter in LETTERS {
            let next = (pair.0.next(&one, *letter), pair.1.next(&other, *letter));
            if next.0.is_lost(&one) || next.1.is_lost(&other) {
                continue;
            }
            reached.entry(next).or_insert_with(|| {
                queue.push_back(next);
                Some((pair, *letter))
            });
        }
    }
    None
}

type Automata = DFA<Vec<u32>>;
type Pair = (Side, Side);

fn automaton(pattern: &str) -> Option<Automata> {
    let (body, modifiers) = pattern.strip_prefix('/')?.rsplit_once('/')?;
    let has = |modifier| modifiers.contains(modifier);
    let syntax = syntax::Config::new()
        .case_insensitive(has('i'))
        .multi_line(has('m'))
        .dot_matches_new_line(has('s'))
        .ignore_whitespace(has('x'));
    let config = Config::new()
        .match_kind(MatchKind::All)
        .unicode_word_boundary(true)
        .dfa_size_limit(Some(MAX_BYTES))
        .determinize_size_limit(Some(MAX_BYTES));
    DFA::builder().configure(config).syntax(syntax).build(body).ok()
}

/// Where one of the automata is, and whether it has matched before.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Side {
    state: StateID,
    matched: bool,
}

impl Side {
    fn start(automaton: &Automata) -> Option<Self> {
        let state = automaton
            .start_state(&start::Config::new().anchored(Anchored::No))
            .ok()?;
        Some(Self {
            state,
            matched: automaton.is_match_state(state),
        })
    }

    fn next(self, automaton: &Automata, letter: u8) -> Self {
        // What follows a match makes no difference.
        if self.matched {
            return self;
        }
        let state = automaton.next_state(self.state, letter);
        Self {
            state,
            matched: automaton.is_match_state(state),
        }
    }

    fn is_lost(self, automaton: &Automata) -> bool {
        !self.matched && (automaton.is_dead_state(self.state) || automaton.is_quit_state(self.state))
    }

    /// Whether the pattern matches a name that ends here: matches show one step late.
    fn ends_matched(self, automaton: &Automata) -> bool {
        self.matched || automaton.is_match_state(automaton.next_eoi_state(self.state))
    }
}

#[cfg(test)]
mod tests {
    use eventstar_stream_config::StreamConfigs;
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_overlap_where_a_name_matches_both() {
        for (one, other, expected) in [
            (r"/^job\./", r"/^job\.run\./", Some("job.run.")),
            (r"/^job\./", r"/^jobs\./", None),
            (r"/^a/", r"/z$/", Some("az")),
            (r"/^a$/", r"/^A$/i", Some("a")),
            (r"/^a$/", r"/^A$/", None),
            (
                r"/^swift\.(.+\.)?upload-complete$/",
                r"/^mediawiki\.job\..+/",
                None,
            ),
            (r"/^a.{3}$/", r"/^.{3}b$/", Some("aaab")),
            (r"/x/", r"/y/", Some("xy")),
            (r"/^a{2}$/", r"/^a{3}$/", None),
            (r"/^ä/", r"/^ä/", None),
            (r"/\bjob$/", r"/^a\.job$/", Some("a.job")),
            (r"//", r"/^b/", Some("b")),
        ] {
            let found = common_name(one, other);
            assert_eq!(found.as_deref(), expected, "{one} {other}");
            if let Some(name) = found {
                for pattern in [one, other] {
                    let alone = StreamConfigs::parse(&json!({pattern: {}})).unwrap();
                    assert!(alone.stream(&name).is_some(), "{pattern} {name}");
                }
            }
        }
    }
}

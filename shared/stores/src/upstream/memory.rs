//! What is remembered of upstreams between requests: data only, no work.

use eventstar_event::time::Millis;

use crate::expiring::Expiring;

/// Whether the upstream has the schema, which then is published here; or why that is not known.
pub(super) type Outcome = Result<bool, String>;

/// How long an outcome counts. Functions remember for four seconds more that a schema is unknown.
const OUTCOME_LIFE: Millis = 1_000;

/// How long an upstream that failed is not asked again.
const DOWN_LIFE: Millis = 5_000;

/// How long `latest` is taken to be what it was.
const LATEST_LIFE: Millis = 60_000;

/// After this a fetch counts as broken off: more than two of them can take, with what is published then.
const FETCH_LIFE: Millis = 15_000;

/// What one instance of the registry remembers of its upstreams.
#[derive(Debug, Default)]
pub struct UpstreamMemory {
    under_way: Expiring<()>,
    outcomes: Expiring<Outcome>,
    down: Expiring<String>,
    latest: Expiring<()>,
}

/// A fetch of this request; other requests wait until it is over.
pub(super) struct UnderWay<'m> {
    memory: &'m UpstreamMemory,
    place: String,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.memory.under_way.remove(&self.place);
    }
}

impl UpstreamMemory {
    /// Begins to fetch what lies at `place`; `None` while another request does.
    pub(super) fn begin(&self, place: &str, now: Millis) -> Option<UnderWay<'_>> {
        if self.under_way.get(place, now).is_some() {
            return None;
        }
        self.under_way.put(place, (), now, FETCH_LIFE);
        Some(UnderWay {
            memory: self,
            place: place.to_owned(),
        })
    }

    /// What is known of `place` in `repository` without asking.
    pub(super) fn outcome(&self, repository: &str, place: &str, now: Millis) -> Option<Outcome> {
        let known = self.outcomes.get(place, now);
        known.or_else(|| self.down.get(repository, now).map(Err))
    }

    pub(super) fn ended(&self, place: &str, outcome: &Outcome, now: Millis) {
        self.outcomes.put(place, outcome.clone(), now, OUTCOME_LIFE);
    }

    pub(super) fn is_down(&self, repository: &str, why: &str, now: Millis) {
        self.down.put(repository, why.to_owned(), now, DOWN_LIFE);
    }

    /// Whether `latest` at `place` was looked at of late.
    pub(super) fn knows_latest(&self, place: &str, now: Millis) -> bool {
        self.latest.get(place, now).is_some()
    }

    pub(super) fn looked_at_latest(&self, place: &str, now: Millis) {
        self.latest.put(place, (), now, LATEST_LIFE);
    }
}

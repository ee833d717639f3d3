//! Slots that a client holds, counted over all instances.

use eventstar_event::time::Millis;
use serde::{Deserialize, Serialize};

use crate::PortError;

/// How long a slot is held without being taken again: an instance that was killed frees its slots within this time.
pub const SLOT_LIFE: Millis = 60_000;

/// One slot of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// The client: a hash, because what is stored must not tell who was here.
    pub client: String,
    /// Who holds the slot, a random id.
    pub holder: String,
}

/// Where slots are counted. Whoever holds one takes it again before [`SLOT_LIFE`] is over.
pub trait Leases {
    /// Takes a slot for [`SLOT_LIFE`], or renews it. `false` when others hold `limit` slots of the client. Safe to retry; a
    /// `Timeout` means unknown.
    async fn take(&self, slot: &Slot, limit: u32) -> Result<bool, PortError>;

    /// Gives a slot back; one that nobody holds is no error.
    async fn release(&self, slot: &Slot) -> Result<(), PortError>;
}

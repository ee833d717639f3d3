//! How many connections a client has at once, over all instances: each holds a slot of its client while it lives.

use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use eventstar_event::time::Millis;
use eventstar_http_api::{Request, client_address};
use eventstar_ports::{Config, Ids, Leases, Level, Platform, PortError, Slot};
use eventstar_stores::{bad_number, bad_proxies};
use uuid::Uuid;

use crate::Isolate;
use crate::refusal::Refusal;

/// How often a slot is taken again: twice in its life, so that one failure does not lose it.
const RENEW_EVERY: Millis = 30_000;

/// Highest limit that can be set: the slots of a client are counted each time.
const MOST_CONNECTIONS: u32 = 10_000;

/// The bits of an IPv6 address that one subscriber has for himself.
const HOST_BITS: u128 = u64::MAX as u128;

/// A slot that a connection holds; it is given back when dropped.
pub(crate) struct HeldSlot<P: Platform> {
    platform: P,
    isolate: Rc<Isolate>,
    slot: Slot,
    limit: u32,
    renew_at: Millis,
    state: Rc<Cell<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Lost,
    GivenBack,
}

/// Takes a slot for a request; `None` where nothing limits connections. Who cannot be counted may connect: readers would
/// rather have too many neighbours than no events.
pub(crate) async fn take<P: Platform>(
    platform: &P,
    isolate: &Rc<Isolate>,
    request: &Request,
) -> Result<Option<HeldSlot<P>>, Refusal> {
    let limit = limit(platform);
    if limit == 0 {
        return Ok(None);
    }
    let address = client_address(request, platform).ok_or(Refusal::NoAddress)?;
    let slot = Slot {
        client: client(address),
        holder: Uuid::from_bytes(platform.random()).to_string(),
    };
    let taken = platform.leases().take(&slot, limit).await;
    if !isolate.counted(platform, taken) {
        return Err(Refusal::TooManyConnections {
            retry_after: retry_after(platform),
        });
    }
    Ok(Some(HeldSlot {
        renew_at: platform.now() + RENEW_EVERY,
        platform: platform.clone(),
        isolate: Rc::clone(isolate),
        slot,
        limit,
        state: Rc::new(Cell::new(State::Held)),
    }))
}

impl Isolate {
    /// Whether a slot was taken. One that could not be counted counts as taken, and the operator hears of it, once until
    /// slots are counted again.
    fn counted<P: Platform>(&self, platform: &P, taken: Result<bool, PortError>) -> bool {
        match taken {
            Ok(taken) => {
                self.uncounted.set(false);
                taken
            }
            Err(error) => {
                if !self.uncounted.replace(true) {
                    let problem = format!("connections cannot be counted and are not limited: {error}");
                    platform.log(Level::Error, &problem);
                }
                true
            }
        }
    }
}

impl<P: Platform> HeldSlot<P> {
    /// Renews the slot where that is due, beside the connection. `false` once it is lost: it had expired while it could not
    /// be renewed, and others hold all slots of the client.
    pub(crate) fn keep(&mut self) -> bool {
        let now = self.platform.now();
        if now >= self.renew_at {
            self.renew_at = now + RENEW_EVERY;
            self.renew();
        }
        self.state.get() == State::Held
    }

    fn renew(&self) {
        let (platform, isolate) = (self.platform.clone(), Rc::clone(&self.isolate));
        let (slot, limit, state) = (self.slot.clone(), self.limit, Rc::clone(&self.state));
        self.platform.spawn(async move {
            let taken = platform.leases().take(&slot, limit).await;
            let kept = isolate.counted(&platform, taken);
            if state.get() == State::GivenBack {
                // The connection has ended meanwhile, and this may have taken what was given back.
                release(&platform, &slot).await;
            } else if !kept {
                state.set(State::Lost);
            }
        });
    }
}

impl<P: Platform> Drop for HeldSlot<P> {
    fn drop(&mut self) {
        self.state.set(State::GivenBack);
        let (platform, slot) = (self.platform.clone(), self.slot.clone());
        self.platform
            .spawn(async move { release(&platform, &slot).await });
    }
}

async fn release<P: Platform>(platform: &P, slot: &Slot) {
    // What is not given back expires.
    let _ = platform.leases().release(slot).await;
}

/// The setting `MAX_CONNECTIONS_PER_CLIENT`; 0 for no limit.
fn limit(config: &impl Config) -> u32 {
    let limit = config.get("MAX_CONNECTIONS_PER_CLIENT");
    limit
        .and_then(|limit| limit.parse().ok())
        .filter(|limit| *limit <= MOST_CONNECTIONS)
        .unwrap_or(0)
}

/// What is wrong with the settings that are read here.
pub(crate) fn bad_settings(config: &impl Config) -> Vec<String> {
    let range = 0..=u64::from(MOST_CONNECTIONS);
    let limit = bad_number(config, "MAX_CONNECTIONS_PER_CLIENT", range, 0);
    limit.into_iter().chain(bad_proxies(config)).collect()
}

/// What a client's slots are counted under. The addresses of one IPv6 subscriber are one client.
fn client(address: IpAddr) -> String {
    let network = match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !HOST_BITS)),
        address => address,
    };
    Uuid::new_v5(
        &Uuid::NAMESPACE_URL,
        format!("eventstar:client:{network}").as_bytes(),
    )
    .to_string()
}

/// Seconds until a client may try again: within a second or third try the slots of connections that broke are free.
fn retry_after(ids: &impl Ids) -> u16 {
    let [random, ..] = ids.random();
    15 + u16::from(random % 16)
}

#[cfg(test)]
mod tests {
    use eventstar_platform_memory::Memory;

    use super::*;

    #[test]
    fn an_ipv4_address_is_a_client_and_so_is_an_ipv6_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:0:0:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
        ] {
            let client = |address: &str| client(address.parse().unwrap());
            assert_eq!(client(one) == client(other), same, "{one} {other}");
        }
    }

    #[test]
    fn a_limit_that_is_no_number_is_told_and_limits_nothing() {
        for (value, used, told) in [
            ("0", 0, false),
            ("2", 2, false),
            ("10000", 10_000, false),
            ("10001", 0, true),
            ("-1", 0, true),
            ("two", 0, true),
        ] {
            let memory = Memory::new().with("MAX_CONNECTIONS_PER_CLIENT", value);
            assert_eq!(limit(&memory), used, "{value}");
            let problems = bad_settings(&memory);
            assert_eq!(problems.len(), usize::from(told), "{value}: {problems:?}");
        }
        let proxies = Memory::new().with("TRUSTED_PROXIES", "proxy.test");
        assert!(bad_settings(&proxies)[0].contains("TRUSTED_PROXIES"));
        let header = Memory::new().with("CLIENT_ADDRESS_HEADER", "a b");
        assert!(bad_settings(&header)[0].contains("CLIENT_ADDRESS_HEADER"));
        assert!(bad_settings(&Memory::new()).is_empty());
    }
}

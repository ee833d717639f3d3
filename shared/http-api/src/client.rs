//! Whose a request is.

use std::net::{IpAddr, Ipv6Addr};

use eventstar_ports::{ClientAddress, Config};
use http::header::{FORWARDED, HeaderName};
use ipnet::{IpNet, Ipv4Net};

use crate::Request;

/// The header that proxies add to where `CLIENT_ADDRESS_HEADER` names none.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The prefix of IPv4-mapped addresses, `::ffff:0:0/96` (RFC 4291, 2.5.5.2), in bits.
const MAPPED_PREFIX: u8 = 96;

/// The client's address: the one the platform saw, where that is none of the `TRUSTED_PROXIES`. Else the header of the
/// setting `CLIENT_ADDRESS_HEADER` tells it (`X-Forwarded-For` by default, `Forwarded` as RFC 7239 has it), and no other
/// header counts: a proxy passes on what it does not set. Each proxy adds at the right of what the client sent, so the
/// first address from the right that is no trusted proxy is the client's; entries that are no address are passed over.
/// Where there are trusted proxies only, the farthest one is the client. `None` where the platform saw no address.
#[must_use]
pub fn client_address(request: &Request, config: &impl Config) -> Option<IpAddr> {
    let ClientAddress(seen) = *request.extensions().get()?;
    let seen = seen.to_canonical();
    let proxies = config.get("TRUSTED_PROXIES").unwrap_or_default();
    let proxies: Vec<IpNet> = proxies.split([',', ' ']).filter_map(network).collect();
    let is_proxy = |address: &IpAddr| proxies.iter().any(|proxies| proxies.contains(address));
    if !is_proxy(&seen) {
        return Some(seen);
    }
    let header = match config.get("CLIENT_ADDRESS_HEADER") {
        None => X_FORWARDED_FOR,
        // Who mistypes the name of a header does not trust another one.
        Some(name) => match name.parse() {
            Ok(name) => name,
            Err(_) => return Some(seen),
        },
    };
    let mut farthest = seen;
    for line in request.headers().get_all(&header).iter().rev() {
        for entry in from_the_right(line.as_bytes(), b',') {
            let entry = match header == FORWARDED {
                true => forwarded_for(entry),
                false => Some(entry),
            };
            let Some(address) = entry.and_then(address) else {
                continue;
            };
            if !is_proxy(&address) {
                return Some(address);
            }
            farthest = address;
        }
    }
    Some(farthest)
}

/// An address or a network of `TRUSTED_PROXIES`; those that are IPv4-mapped are IPv4.
fn network(entry: &str) -> Option<IpNet> {
    let net = match entry.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => entry.parse().ok()?,
    };
    let IpNet::V6(mapped) = net else {
        return Some(net);
    };
    let prefix = mapped.prefix_len().checked_sub(MAPPED_PREFIX);
    let mapped = prefix.and_then(|prefix| Ipv4Net::new(mapped.addr().to_ipv4_mapped()?, prefix).ok());
    Some(mapped.map_or(net, IpNet::V4))
}

/// The parts of a list, the last one first. A separator between quotes is none. The list is read from the right too, so
/// that a quote that a client left open cannot reach over what proxies have added.
fn from_the_right(list: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let mut quoted = false;
        let place = list.iter().enumerate().rposition(|(place, byte)| {
            quoted ^= *byte == b'"' && !is_escaped(list, place);
            *byte == separator && !quoted
        });
        rest = place.and_then(|place| list.get(..place));
        place.map_or(Some(list), |place| list.get(place + 1..))
    })
}

fn is_escaped(list: &[u8], place: usize) -> bool {
    let before = list.iter().take(place).rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The node that an element of `Forwarded` was received from, still in quotes (RFC 7239, 4).
fn forwarded_for(element: &[u8]) -> Option<&[u8]> {
    from_the_right(element, b';').find_map(|pair| {
        let (name, node) = pair.split_at_checked(pair.iter().position(|byte| *byte == b'=')?)?;
        name.trim_ascii()
            .eq_ignore_ascii_case(b"for")
            .then(|| node.get(1..))?
    })
}

/// The address of an entry: in quotes, in brackets, with a port, with a zone, or bare. IPv4-mapped ones are IPv4.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry.trim_ascii()).ok()?;
    let unquoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let text = unquoted.unwrap_or(text).trim_ascii();
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']')? {
            (host, "") => (host, None),
            (host, port) => (host, Some(port.strip_prefix(':')?)),
        },
        None => match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        },
    };
    if !port.is_none_or(is_port) {
        return None;
    }
    let address = match host.split_once('%') {
        Some((host, zone)) if !zone.is_empty() => IpAddr::V6(host.parse::<Ipv6Addr>().ok()?),
        _ => host.parse().ok()?,
    };
    Some(address.to_canonical())
}

/// RFC 7239, 6: a number of at most five digits, or a name that hides it.
fn is_port(port: &str) -> bool {
    let hidden = port.strip_prefix('_').is_some_and(|name| !name.is_empty());
    hidden || (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;

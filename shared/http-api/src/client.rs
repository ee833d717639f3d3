//! Whose a request is.

use std::net::IpAddr;

use eventstar_ports::{ClientAddress, Config};
use ipnet::IpNet;

use crate::Request;

/// The client's address: the one the platform saw. Behind one of the `TRUSTED_PROXIES` that is the proxy's, which then says
/// whose the request is: `X-Client-IP`, else the leftmost of `X-Forwarded-For`. `None` where the platform saw none.
#[must_use]
pub fn client_address(request: &Request, config: &impl Config) -> Option<IpAddr> {
    let ClientAddress(seen) = *request.extensions().get()?;
    let proxies = config.get("TRUSTED_PROXIES").unwrap_or_default();
    let is_proxy = proxies
        .split([',', ' '])
        .any(|proxy| proxy.parse() == Ok(seen) || proxy.parse().is_ok_and(|net: IpNet| net.contains(&seen)));
    let told = |name: &str| {
        let text = request.headers().get(name)?.to_str().ok()?;
        text.split(',').next()?.trim().parse().ok()
    };
    let told = told("x-client-ip")
        .or_else(|| told("x-forwarded-for"))
        .filter(|_| is_proxy);
    Some(told.unwrap_or(seen))
}

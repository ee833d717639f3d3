use http::HeaderValue;

use super::*;

struct Settings<'s>(&'s [(&'s str, &'s str)]);

impl Config for Settings<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

fn client(settings: &[(&str, &str)], seen: &str, headers: &[(&str, &[u8])]) -> String {
    let mut request = Request::default();
    request
        .extensions_mut()
        .insert(ClientAddress(seen.parse().unwrap()));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request
            .headers_mut()
            .append(name, HeaderValue::from_bytes(value).unwrap());
    }
    client_address(&request, &Settings(settings)).unwrap().to_string()
}

/// The proxy of the tables below, and the settings that trust it.
const PROXY: &str = "10.1.2.3";
const TRUSTED: (&str, &str) = ("TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1 2001:db8:ffff::/48");

#[test]
fn the_first_address_from_the_right_that_is_no_trusted_proxy_is_the_clients() {
    let rows: &[(&[&str], &str)] = &[
        // The client's own word stands at the left.
        (&["203.0.113.7"], "203.0.113.7"),
        (&["198.51.100.66, 203.0.113.7"], "203.0.113.7"),
        (&["198.51.100.66, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        (&["10.0.0.66, 203.0.113.7"], "203.0.113.7"),
        (&["198.51.100.66,203.0.113.7,192.0.2.1,10.9.9.9"], "203.0.113.7"),
        (&["203.0.113.7, 192.0.2.2"], "192.0.2.2"),
        // Lines are one list.
        (&["198.51.100.66", "203.0.113.7"], "203.0.113.7"),
        (
            &["198.51.100.66, 203.0.113.7", "10.9.9.9, 10.8.8.8"],
            "203.0.113.7",
        ),
        (&["203.0.113.7", ""], "203.0.113.7"),
        // Trusted proxies only: the farthest.
        (&["10.5.5.5, 10.9.9.9"], "10.5.5.5"),
        (&["unknown, 10.5.5.5", "10.9.9.9"], "10.5.5.5"),
        // No address at all: the proxy itself.
        (&[], PROXY),
        (&[""], PROXY),
        (&[" , ,"], PROXY),
        (&["unknown"], PROXY),
        (&["proxy.example"], PROXY),
        // What is no address is passed over.
        (&["unknown, 203.0.113.7"], "203.0.113.7"),
        (&["203.0.113.7, unknown"], "203.0.113.7"),
        (&["203.0.113.7, -, , _hidden, 10.9.9.9"], "203.0.113.7"),
        (&["1.2.3, 256.1.1.1, 1.2.3.4/8, 010.1.1.1, 1.2.3.4.5"], PROXY),
        (&["203.0.113.7, ::g, [::1, ::1], :80, []"], "203.0.113.7"),
        // Ports.
        (&["203.0.113.7:51234"], "203.0.113.7"),
        (&["203.0.113.7:51234, 10.9.9.9:443"], "203.0.113.7"),
        (&["203.0.113.7:http, 203.0.113.8:123456, 203.0.113.9:"], PROXY),
        // Brackets.
        (&["[2001:db8::7]:443"], "2001:db8::7"),
        (&["[2001:db8::7]"], "2001:db8::7"),
        (&["2001:db8::7"], "2001:db8::7"),
        (&["2001:db8::7, [2001:db8:ffff::1]:443"], "2001:db8::7"),
        (&["[2001:db8::7]443, [2001:db8::8]:x"], PROXY),
        // Quotes.
        (&["\"203.0.113.7\""], "203.0.113.7"),
        (&["\"[2001:db8::7]:443\" , \"10.9.9.9:80\""], "2001:db8::7"),
        (&["\"198.51.100.66, 203.0.113.7"], "203.0.113.7"),
        (&["\", 203.0.113.7, \"10.9.9.9\""], "203.0.113.7"),
        // Zones.
        (&["fe80::1%eth0"], "fe80::1"),
        (&["[fe80::1%25eth0]:80"], "fe80::1"),
        (&["203.0.113.7%eth0, fe80::1%"], PROXY),
        // IPv4-mapped.
        (&["::ffff:203.0.113.7"], "203.0.113.7"),
        (&["203.0.113.7, ::ffff:10.9.9.9"], "203.0.113.7"),
        (&["[::ffff:cb00:7107]:80, [::ffff:a09:909]"], "203.0.113.7"),
    ];
    for (lines, expected) in rows {
        let headers: Vec<_> = lines
            .iter()
            .map(|line| ("x-forwarded-for", line.as_bytes()))
            .collect();
        assert_eq!(client(&[TRUSTED], PROXY, &headers), *expected, "{lines:?}");
    }
    let broken: &[u8] = b"\xff\xfe, 203.0.113.7, \xc3";
    let headers = [("x-forwarded-for", broken)];
    assert_eq!(client(&[TRUSTED], PROXY, &headers), "203.0.113.7");
}

#[test]
fn forwarded_is_read_as_rfc_7239_has_it() {
    let rows: &[(&[&str], &str)] = &[
        (&["for=203.0.113.7"], "203.0.113.7"),
        (&["For=203.0.113.7;proto=https;by=10.9.9.9"], "203.0.113.7"),
        (&["proto=http; FOR = \"203.0.113.7:4711\""], "203.0.113.7"),
        (&["for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
        (&["for=\"[2001:db8::7]:_port\""], "2001:db8::7"),
        (&["for=198.51.100.66, for=203.0.113.7"], "203.0.113.7"),
        (
            &["for=203.0.113.7, for=\"10.9.9.9:80\";by=10.8.8.8"],
            "203.0.113.7",
        ),
        (
            &["for=198.51.100.66", "for=203.0.113.7", "for=10.9.9.9"],
            "203.0.113.7",
        ),
        (
            &["for=203.0.113.7, for=unknown, for=_hidden, by=192.0.2.9"],
            "203.0.113.7",
        ),
        (&["203.0.113.7"], PROXY),
        (&["for=\"198.51.100.66, for=203.0.113.7"], "203.0.113.7"),
        (&["for=203.0.113.7;x=\"a, for=198.51.100.66\""], "203.0.113.7"),
        (&["for=203.0.113.7;x=\"a;for=198.51.100.66\""], "203.0.113.7"),
        (
            &["for=198.51.100.66, for=203.0.113.7;x=\"a\\\"b\\\\\""],
            "203.0.113.7",
        ),
    ];
    let settings = [TRUSTED, ("CLIENT_ADDRESS_HEADER", "Forwarded")];
    for (lines, expected) in rows {
        let headers: Vec<_> = lines.iter().map(|line| ("forwarded", line.as_bytes())).collect();
        assert_eq!(client(&settings, PROXY, &headers), *expected, "{lines:?}");
    }
}

#[test]
fn one_header_counts_and_only_from_trusted_proxies() {
    let all: [(&str, &[u8]); 3] = [
        ("x-client-ip", b"198.51.100.1"),
        ("x-forwarded-for", b"198.51.100.2"),
        ("forwarded", b"for=198.51.100.3"),
    ];
    for (proxies, header, seen, expected) in [
        ("", None, "203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8", None, "203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8", None, PROXY, "198.51.100.2"),
        ("10.1.2.3", None, "::ffff:10.1.2.3", "198.51.100.2"),
        ("::ffff:10.1.2.3", None, PROXY, "198.51.100.2"),
        ("::ffff:10.0.0.0/104", None, PROXY, "198.51.100.2"),
        ("::/0", None, PROXY, PROXY),
        ("0.0.0.0/0", None, "2001:db8::1", "2001:db8::1"),
        ("", None, "::ffff:203.0.113.9", "203.0.113.9"),
        ("nonsense 10.0.0.0/33", None, PROXY, PROXY),
        ("10.0.0.0/8", Some("X-Client-IP"), PROXY, "198.51.100.1"),
        ("10.0.0.0/8", Some("x-forwarded-for"), PROXY, "198.51.100.2"),
        ("10.0.0.0/8", Some("Forwarded"), PROXY, "198.51.100.3"),
        ("10.0.0.0/8", Some("X-Real-IP"), PROXY, PROXY),
        ("10.0.0.0/8", Some("X Client IP"), PROXY, PROXY),
        ("", Some("X-Client-IP"), "203.0.113.9", "203.0.113.9"),
    ] {
        let mut settings = vec![("TRUSTED_PROXIES", proxies)];
        settings.extend(header.map(|header| ("CLIENT_ADDRESS_HEADER", header)));
        assert_eq!(client(&settings, seen, &all), expected, "{settings:?} {seen}");
    }
    assert_eq!(client_address(&Request::default(), &Settings(&[TRUSTED])), None);
}

//! The setting `SCHEMA_UPSTREAM`.

use std::net::IpAddr;

use eventstar_ports::Config;
use http::Uri;
use http::uri::Scheme;

use crate::registry::is_repository_name;
use crate::settings::bad_setting;

const NAME: &str = "SCHEMA_UPSTREAM";

/// A schema repository elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// What the repository is called here.
    pub(crate) repository: String,
    /// The URI before `/{title}/{version}`, without a `/` at its end.
    pub(crate) base: String,
}

/// Whether there are upstreams.
pub(crate) fn has_upstreams(config: &impl Config) -> bool {
    config.get(NAME).is_some()
}

/// The upstreams in lookup order. Entries that are none are left out.
pub(crate) fn upstreams(config: &impl Config) -> Vec<Upstream> {
    read(config).0
}

/// What is wrong with the setting, a text for each bad entry.
pub(crate) fn bad_upstreams(config: &impl Config) -> Vec<String> {
    let expected = "a list of repository=base URI with a name for each repository, such as \
                    primary=https://schema.example.org/repositories/primary/jsonschema (http only for this machine)";
    let told = |entry: &String| bad_setting(NAME, entry, expected, "no schema is fetched for it");
    read(config).1.iter().map(told).collect()
}

/// The upstreams, and the entries that are none.
fn read(config: &impl Config) -> (Vec<Upstream>, Vec<String>) {
    let list = config.get(NAME).unwrap_or_default();
    let (mut upstreams, mut bad) = (Vec::<Upstream>::new(), Vec::new());
    for entry in list.split([',', ' ', '\n']).filter(|entry| !entry.is_empty()) {
        match upstream(entry) {
            Some(new) if upstreams.iter().all(|known| known.repository != new.repository) => {
                upstreams.push(new)
            }
            _ => bad.push(entry.to_owned()),
        }
    }
    (upstreams, bad)
}

fn upstream(entry: &str) -> Option<Upstream> {
    let (repository, base) = entry.split_once('=')?;
    let uri: Uri = base.parse().ok()?;
    let is_safe =
        uri.scheme() == Some(&Scheme::HTTPS) || (uri.scheme() == Some(&Scheme::HTTP) && is_loopback(&uri));
    (is_repository_name(repository) && is_safe && !base.contains(['?', '#', '@'])).then(|| Upstream {
        repository: repository.to_owned(),
        base: base.trim_end_matches('/').to_owned(),
    })
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use eventstar_platform_memory::Memory;

    use super::*;

    fn of(setting: &str) -> (Vec<Upstream>, Vec<String>) {
        let memory = Memory::new().with(NAME, setting);
        (upstreams(&memory), bad_upstreams(&memory))
    }

    #[test]
    fn upstreams_are_read_in_their_order() {
        let (found, bad) = of(
            "primary=https://a.org/repositories/primary/jsonschema/, b=http://127.0.0.1:1/x c=http://localhost d=http://[::1]:2/",
        );
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|each| (each.repository.as_str(), each.base.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("primary", "https://a.org/repositories/primary/jsonschema"),
                ("b", "http://127.0.0.1:1/x"),
                ("c", "http://localhost"),
                ("d", "http://[::1]:2"),
            ]
        );
        assert!(bad.is_empty());
        assert!(upstreams(&Memory::new()).is_empty() && !has_upstreams(&Memory::new()));
    }

    #[test]
    fn an_entry_that_is_no_upstream_is_told_and_the_others_count() {
        for entry in [
            "https://a.org/",
            "primary",
            "primary=",
            "=https://a.org",
            "a/b=https://a.org",
            "primary=a.org",
            "primary=ftp://a.org",
            "primary=http://a.org",
            "primary=http://127.0.0.1.a.org",
            "primary=https://",
            "primary=https://user:secret@a.org",
            "primary=https://a.org?x",
            "primary=https://a.org#x",
            "ok=https://b.org",
        ] {
            let (found, bad) = of(&format!("ok=https://c.org {entry}"));
            assert_eq!(found.len(), 1, "{entry}");
            let [told] = bad.as_slice() else {
                panic!("{entry}: {bad:?}")
            };
            assert!(
                told.contains(&format!(
                    "SCHEMA_UPSTREAM is '{entry}' but must be a list of repository=base URI"
                )),
                "{told}"
            );
        }
    }
}

//! Which deployment a command talks to, and with which token.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::Admin;

/// The variable with the admin token.
const TOKEN: &str = "EVENTSTAR_ADMIN_TOKEN";

/// The variable with the producer token.
pub(crate) const PRODUCER_TOKEN: &str = "EVENTSTAR_PRODUCER_TOKEN";

/// The deployment, named by URL or by a profile.
#[derive(Debug, Default, Args)]
pub(crate) struct Deployment {
    /// Base URL of the deployment, such as `http://127.0.0.1:8787`.
    #[arg(long, value_name = "URL", required_unless_present = "profile")]
    pub(crate) to: Option<String>,
    /// Profile that names URL and token, in the profile file.
    #[arg(long, value_name = "NAME", conflicts_with = "to")]
    pub(crate) profile: Option<String>,
    /// Profile file, YAML: `production: {to: https://…, token: …}`. Default: ~/.config/eventstar/profiles.yaml.
    #[arg(long, env = "EVENTSTAR_PROFILES", value_name = "FILE")]
    pub(crate) profiles: Option<PathBuf>,
}

/// The deployment, and the token that opens its admin routes.
#[derive(Debug, Default, Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) deployment: Deployment,
    /// Admin token; without it that of the profile, else that of the environment (EVENTSTAR_ADMIN_TOKEN).
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
}

/// What a profile has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Base URL.
    pub(crate) to: String,
    /// Admin token.
    pub(crate) token: Option<String>,
    /// Producer token.
    pub(crate) producer_token: Option<String>,
}

impl Target {
    /// A client of the deployment's admin routes.
    pub(crate) fn admin(&self) -> Result<Admin> {
        let profile = self.deployment.profile()?;
        admin(&profile, self.token.as_deref())
    }
}

/// A client of a deployment's admin routes: with `token`, else the profile's, else that of the environment.
pub(crate) fn admin(profile: &Profile, token: Option<&str>) -> Result<Admin> {
    let token = token.map(str::to_owned).or_else(|| profile.token.clone());
    let Some(token) = token.or_else(|| env::var(TOKEN).ok()) else {
        bail!("no admin token: set {TOKEN}, or the token of a profile");
    };
    Admin::new(&profile.to, &token)
}

impl Deployment {
    /// Its URL, and the tokens where a profile names it.
    pub(crate) fn profile(&self) -> Result<Profile> {
        match (&self.to, &self.profile) {
            (Some(to), _) => Ok(Profile {
                to: to.clone(),
                token: None,
                producer_token: None,
            }),
            (None, Some(name)) => self.read_profile(name),
            (None, None) => bail!("name the deployment: its URL, or --profile NAME"),
        }
    }

    fn read_profile(&self, name: &str) -> Result<Profile> {
        let file = match &self.profiles {
            Some(file) => file.clone(),
            None => {
                default_file().context("no home folder to find profiles in: name the file with --profiles")?
            }
        };
        let shown = file.display();
        let text = fs::read_to_string(&file).with_context(|| format!("{shown}: cannot be read"))?;
        is_private(&file)?;
        // What a parser says may quote the text, which has tokens in it.
        let mut profiles: BTreeMap<String, Profile> = serde_yaml_ng::from_str(&text).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            anyhow::anyhow!("{shown}:{line}: expected NAME: {{to: URL, token: TOKEN, producer_token: TOKEN}}")
        })?;
        match profiles.remove(name) {
            Some(profile) => Ok(profile),
            None => {
                let known: Vec<String> = profiles.into_keys().collect();
                bail!(
                    "{shown}: no profile is called {name}: there are {}",
                    known.join(", ")
                )
            }
        }
    }
}

fn default_file() -> Option<PathBuf> {
    let base = match env::var_os("XDG_CONFIG_HOME").filter(|base| !base.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => Path::new(&env::var_os("HOME")?).join(".config"),
    };
    Some(base.join("eventstar/profiles.yaml"))
}

/// A file of tokens that others can read is refused, as `ssh` refuses such keys.
#[cfg(unix)]
fn is_private(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(file)?.permissions().mode();
    if mode & 0o077 != 0 {
        let shown = file.display();
        bail!("{shown}: others can read the tokens in it: chmod 600 {shown}");
    }
    Ok(())
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
impl Target {
    /// The deployment at a URL, with a token.
    pub(crate) fn at(to: &str, token: &str) -> Self {
        Self {
            deployment: Deployment {
                to: Some(to.to_owned()),
                ..Deployment::default()
            },
            token: Some(token.to_owned()),
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        self.deployment.to.as_deref().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_profile_names_url_and_token() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("profiles.yaml");
        let target = |name: &str| Target {
            deployment: Deployment {
                profile: Some(name.to_owned()),
                profiles: Some(file.clone()),
                ..Deployment::default()
            },
            token: None,
        };
        let refusal = |name: &str| format!("{:#}", target(name).admin().unwrap_err());
        assert!(refusal("a").contains("profiles.yaml: cannot be read"));
        fs::write(&file, "a: {to: 'http://127.0.0.1:1', token: secret}\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(refusal("a").contains("chmod 600"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(target("a").admin().is_ok());
        assert!(refusal("b").contains("no profile is called b: there are a"));
        fs::write(&file, "a:\n  - secret\n").unwrap();
        let refusal = refusal("a");
        assert!(
            refusal.contains("profiles.yaml:2: expected NAME") && !refusal.contains("secret"),
            "{refusal}"
        );
    }
}

//! Where Java, Kafka and the bridge are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, step};
use crate::project::Project;

/// The version in `xtask/assets/kafka-pom.xml`.
pub(crate) const KAFKA: &str = "4.1.2";

/// The last version that runs on Java 17; it has the client of Kafka 4.1.
const BRIDGE: &str = "0.33.1";

const BRIDGE_RELEASES: &str = "https://github.com/strimzi/strimzi-kafka-bridge/releases/download";

/// What Kafka 4 and the bridge ask for.
const JAVA: u32 = 17;

/// The program that runs both, once it is new enough.
pub(crate) fn java() -> Result<PathBuf> {
    let java = match env::var_os("JAVA_HOME") {
        Some(home) if !home.is_empty() => PathBuf::from(home).join("bin/java"),
        _ => PathBuf::from("java"),
    };
    let fix = format!(
        "install a JDK {JAVA} or later from https://adoptium.net (Debian and Ubuntu: `apt install default-jdk`), and set JAVA_HOME where there are several"
    );
    // What macOS has instead of Java answers too, with an error.
    let told = process::capture(Command::new(&java).arg("-version"))
        .ok()
        .filter(|output| output.status.success())
        .map(|output| process::texts(&output))
        .with_context(|| format!("Kafka needs Java, and `{}` does not run: {fix}", java.display()))?;
    match java_version(&told) {
        Some(version) if version >= JAVA => Ok(java),
        _ => bail!(
            "Kafka needs Java {JAVA} or later, and `{}` is {}: {fix}",
            java.display(),
            told.lines().next().unwrap_or("of an unknown version")
        ),
    }
}

/// The first number of the version in what `java -version` writes; before Java 9 that was 1.
fn java_version(told: &str) -> Option<u32> {
    let (_, version) = told.split_once('"')?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The folder with the jars of Kafka, which is downloaded once.
pub(crate) fn kafka(project: &Project) -> Result<PathBuf> {
    let jars = project.cache.join(format!("kafka-{KAFKA}"));
    if jars.is_dir() {
        return Ok(jars);
    }
    if process::find("mvn").is_none() {
        bail!(
            "Kafka is downloaded with Maven, and `mvn` is not on PATH: install it from https://maven.apache.org (Debian and Ubuntu: `apt install maven`)"
        );
    }
    step(&format!("downloading Kafka {KAFKA} (about 45 MB, once)"));
    // A folder of our own until it is complete.
    let part = project
        .cache
        .join(format!("kafka-{KAFKA}.{}", std::process::id()));
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--file"])
        .arg(project.root.join("xtask/assets/kafka-pom.xml"))
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", part.display()));
    let outcome = process::run(&mut maven)
        .context(
            "Kafka cannot be downloaded: check that Maven reaches Maven Central (a proxy or a mirror is set in ~/.m2/settings.xml), and try again",
        )
        .and_then(|()| {
            fs::rename(&part, &jars).with_context(|| format!("{} cannot be created", jars.display()))
        });
    // Of use only when complete.
    let _ = fs::remove_dir_all(&part);
    // Another process may have been faster.
    if !jars.is_dir() {
        outcome?;
    }
    Ok(jars)
}

/// The folder with the jars of the bridge. It is in no registry that Maven knows, so it is to be installed by hand.
pub(crate) fn bridge(project: &Project) -> Result<PathBuf> {
    let name = format!("kafka-bridge-{BRIDGE}");
    let home = match env::var_os("KAFKA_BRIDGE_HOME") {
        Some(home) if !home.is_empty() => PathBuf::from(home),
        _ => process::find("kafka_bridge_run.sh")
            .and_then(|program| Some(program.canonicalize().ok()?.parent()?.parent()?.to_owned()))
            .unwrap_or_else(|| project.cache.join(&name)),
    };
    let jars = home.join("libs");
    if bridge_version(&jars).is_none() {
        bail!(
            "the Strimzi bridge is not in {}: unpack {BRIDGE_RELEASES}/{BRIDGE}/{name}.tar.gz into {} (it then has {name}/libs), or set KAFKA_BRIDGE_HOME to where it is",
            home.display(),
            project.cache.display()
        );
    }
    Ok(jars)
}

/// The version of the bridge in a folder of jars, as its own is named.
pub(crate) fn bridge_version(jars: &Path) -> Option<String> {
    fs::read_dir(jars).ok()?.find_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        let version = name.strip_prefix("io.strimzi.kafka-bridge-")?;
        Some(version.strip_suffix(".jar")?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_java_is_the_first_number() {
        let version = |told| java_version(told);
        assert_eq!(version("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(version("openjdk version \"21\" 2023-09-19\n"), Some(21));
        assert_eq!(version("java version \"1.8.0_402\"\n"), Some(1));
        assert_eq!(version("no Java runtime"), None);
    }

    #[test]
    fn the_version_of_the_bridge_is_that_of_its_jar() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(bridge_version(folder.path()), None);
        fs::write(folder.path().join("io.strimzi.kafka-oauth-client-0.17.0.jar"), "").unwrap();
        assert_eq!(bridge_version(folder.path()), None);
        fs::write(folder.path().join("io.strimzi.kafka-bridge-0.33.1.jar"), "").unwrap();
        assert_eq!(bridge_version(folder.path()).as_deref(), Some("0.33.1"));
        assert_eq!(bridge_version(&folder.path().join("none")), None);
    }

    #[test]
    fn the_pom_has_the_version_that_is_told() {
        let pom = include_str!("../../assets/kafka-pom.xml");
        assert!(pom.contains(&format!(
            "<artifactId>kafka_2.13</artifactId>\n      <version>{KAFKA}</version>"
        )));
    }
}

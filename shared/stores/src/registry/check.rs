//! Whether schemas are fit to be published.

use eventstar_ports::{RegistryError, SchemaFile};
use eventstar_validation::Schema;

use super::{MAX_SCHEMAS, invalid, uri_of};

pub(crate) fn is_repository_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.len() <= 50 && name.chars().all(fits)
}

pub(super) fn check_schemas(repository: &str, schemas: &[SchemaFile]) -> Result<(), RegistryError> {
    if !is_repository_name(repository) {
        return Err(invalid(format!(
            "'{repository}' is no repository name: use 1 to 50 letters, digits, '-', '_'"
        )));
    }
    if schemas.len() > MAX_SCHEMAS {
        return Err(invalid(format!(
            "{} schemas in one request: send at most {MAX_SCHEMAS}",
            schemas.len()
        )));
    }
    for schema in schemas {
        let uri = uri_of(schema)?;
        if semver::Version::parse(&schema.version).is_err() {
            return Err(invalid(format!(
                "schema {uri}: '{}' is no version: use x.y.z",
                schema.version
            )));
        }
        if uri.title() != schema.title {
            return Err(invalid(format!(
                "schema {uri}: write the title as {}",
                uri.title()
            )));
        }
        Schema::compile(&schema.json)
            .map_err(|error| invalid(format!("schema {uri} cannot be used: {error}")))?;
    }
    Ok(())
}

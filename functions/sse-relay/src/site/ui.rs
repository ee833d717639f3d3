//! The files of the page to watch streams on.

use eventstar_http_api::{Response, text};
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue};

/// Where the page is.
pub(crate) const FOLDER: &str = "/v2/ui/";

/// What the page reads the streams from.
pub(crate) const STREAMS: &str = "/v2/ui/streams.json";

/// Everything comes from here, and markup neither runs nor loads anything.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file: its name, its type and its text.
type File = (&'static str, &'static str, &'static str);

/// Declares files of the folder `ui`.
macro_rules! files {
    ($($name:literal $kind:expr),* $(,)?) => {
        [$(($name, $kind, include_str!(concat!("../../ui/", $name)))),*]
    };
}

const FILES: [File; 13] = files![
    "index.html" "text/html; charset=utf-8",
    "style.css" "text/css; charset=utf-8",
    "icon.svg" "image/svg+xml",
    "app.js" SCRIPT,
    "connection.js" SCRIPT,
    "detail.js" SCRIPT,
    "events.js" SCRIPT,
    "graph.js" SCRIPT,
    "json.js" SCRIPT,
    "list.js" SCRIPT,
    "picker.js" SCRIPT,
    "state.js" SCRIPT,
    "yaml.js" SCRIPT,
];

/// The file at `path`, where there is one.
pub(crate) fn file(path: &str) -> Option<Response> {
    let name = match path.strip_prefix(FOLDER)? {
        "" => "index.html",
        name => name,
    };
    let (_, kind, content) = FILES.iter().find(|(known, ..)| *known == name)?;
    Some(text(StatusCode::OK, kind, *content))
}

/// Puts the page's policy in place of that of other answers.
pub(crate) fn with_policy(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui");
        let found: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(found, served);
    }

    #[test]
    fn the_files_stay_small() {
        let bytes: usize = FILES.iter().map(|(_, _, content)| content.len()).sum();
        assert!(bytes < 100 * 1024, "{bytes} bytes");
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_no_script_is_in_the_markup() {
        for (name, _, content) in FILES {
            for scheme in ["http://", "https://", "//cdn"] {
                let elsewhere = content.replace("http://www.w3.org/2000/svg", "");
                assert!(!elsewhere.contains(scheme), "{name} has {scheme}");
            }
        }
        let (_, _, page) = FILES[0];
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains("<script type=\"module\" src=\"app.js\"></script>"));
        for inline in [" style=", " onclick=", "<style"] {
            assert!(!page.contains(inline), "{inline}");
        }
    }
}
